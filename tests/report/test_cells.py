"""What is near a box is found by cells: all that meets it, and no more on a larger page that is as full."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesim.report.draw.cells import Boxes, Lines, spans


def drawn(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return a page with n boxes and n lines per cell of 100 pixels, drawn with a seed."""
    draws = np.random.default_rng(seed)
    side = 100.0 * np.sqrt(n)
    low, start = draws.uniform(0.0, side, (2, n, 2))
    boxes = np.hstack([low, low + draws.uniform(1.0, 60.0, (n, 2))])
    lines = np.hstack([start, start + draws.uniform(-150.0, 150.0, (n, 2))])
    return boxes, lines, np.array([0.0, 0.0, side, side])


@pytest.mark.parametrize("seed", range(3))
def test_all_that_meets_a_box_is_near_it(seed: int) -> None:
    """Compared with a look at everything; lines may begin and end beside the page, stand upright, lie level, or be points."""
    boxes, lines, page = drawn(300, seed)
    lines[:20, 2] = lines[:20, 0]
    lines[10:40, 3] = lines[10:40, 1]
    lines[40:50] *= 5.0
    lines[50, 0] = np.nan
    held, ways = Boxes(), Lines(lines, page)
    for box in boxes:
        held.add(box)
    for box in boxes[boxes[:, 2:].max(axis=1) <= page[2]][:100]:
        meets = (boxes[:, :2] < box[2:]).all(axis=1) & (boxes[:, 2:] > box[:2]).all(axis=1)
        assert {*map(tuple, boxes[meets])} <= {*map(tuple, held.near(box))}
        enters, leaves = spans(lines, box)
        passes = (enters <= leaves) & (leaves >= 0) & (enters <= 1)
        near = {tuple(line) for line in np.nan_to_num(ways.near(box))}
        assert {tuple(line) for line in np.nan_to_num(lines[passes])} <= near


def test_a_larger_page_that_is_as_full_has_as_much_near_a_box() -> None:
    """Every label was compared with every line: four times as many on four times the page."""

    def n_near(n: int) -> float:
        boxes, lines, page = drawn(n, 0)
        held, ways = Boxes(), Lines(lines, page)
        for box in boxes:
            held.add(box)
        return float(np.mean([len(held.near(box)) + len(ways.near(box)) for box in boxes]))

    assert n_near(1600) < 1.2 * n_near(400)


def test_what_is_nowhere_meets_nothing() -> None:
    """As a point with an infinite coordinate on an axis of logarithms."""
    held = Boxes()
    held.add(np.array([0.0, -np.inf, 1.0, -np.inf]))
    assert held.near(np.array([0.0, 0.0, 9.0, 9.0])).shape == (0, 4)

"""Brace ranges and patterns."""

from __future__ import annotations

import pytest

from edgesim.scenario.topology.expand import Ids, expand_range, link_pairs
from edgesim.scenario.topology.outline import outline


def test_several_ranges_in_one_id_count_like_nested_loops() -> None:
    """The last range is the fastest."""
    assert expand_range("r{1..2}c{1..2}") == ("r1c1", "r1c2", "r2c1", "r2c2")


@pytest.mark.parametrize("text", ["", "w 1", "w*", "a->b", "w{1..}", "w{3..1}", "w{1..99999999}", "é"])
def test_ids_that_patterns_and_paths_could_not_name_are_refused(text: str) -> None:
    """Blanks, pattern signs and arrows have a meaning elsewhere."""
    with pytest.raises(ValueError, match="; "):
        expand_range(text)


def test_patterns_are_case_sensitive_and_keep_the_order_of_the_devices() -> None:
    """As `fnmatch.fnmatchcase`."""
    ids = Ids(["w2", "W1", "w1", "w10"])
    assert ids.select("w?") == ("w2", "w1")
    assert ids.select("*1") == ("W1", "w1")
    assert ids.select("w{1..2}") == ("w2", "w1")
    assert ids.select("w[!2]*") == ("w1", "w10")


def test_between_makes_both_directions_once() -> None:
    """Also when both ends match the same devices: a full mesh of three has six links."""
    pairs = list(link_pairs({"between": ["w*", "w*"]}, Ids(["w1", "w2", "w3"])))
    assert len(pairs) == len(set(pairs)) == 6


def test_from_and_to_make_one_direction() -> None:
    """No way back."""
    assert list(link_pairs({"from": "w*", "to": "hub"}, Ids(["hub", "w1", "w2"]))) == [("w1", "hub"), ("w2", "hub")]


def test_an_unreadable_id_makes_the_outline_incomplete() -> None:
    """So that nothing is called unknown that may be that device."""
    assert outline({"devices": [{"id": "a"}]}).is_complete
    for device in ({"id": 3}, {"id": "w{2..1}"}, {}, "a", None):
        assert not outline({"devices": [{"id": "a"}, device]}).is_complete

"""The perfect-student bound, against the definition and the published teachers."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.domain.networks.partition import Partition, surviving_parts
from edgesim.errors import DataError, PlanError
from edgesim.nn.parts.perfect import answers_of_survivors
from edgesim.nn.train.cache import NetworkCache
from edgesim.scenario.scenario import Scenario
from edgesim.strategies.students.bound import perfect_student_bound
from edgesim.study.preparation.bounds import bounds

ROOT = Path(__file__).parents[2]
DIGITS = str(ROOT / "scenarios" / "resilience-digits.yaml")


@pytest.mark.parametrize("part_of", [(0, 1, 2, 0, 1, 2, 0), (0, 1, 2, 3), (0, 0, 0)])
def test_the_shares_of_sets_of_parts_are_those_of_all_sets_of_students(part_of):
    for n_lost in range(len(part_of) + 1):
        sets = list(itertools.combinations(range(len(part_of)), n_lost))
        counted: dict[frozenset[int], float] = {}
        for lost in sets:
            left = frozenset(part for index, part in enumerate(part_of) if index not in lost)
            counted[left] = counted.get(left, 0) + 1 / len(sets)
        assert surviving_parts(part_of, n_lost) == pytest.approx(counted)


class Plain(nn.Module):
    """Filters, then a head that is linear or is not; with a way around the filters or without."""

    def __init__(self, *, is_linear: bool, has_way_around: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(6 if is_linear else 6 * 16, 3)
        self.is_linear, self.has_way_around = is_linear, has_way_around

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.relu(self.conv(images))
        given = maps.mean(dim=(2, 3)) if self.is_linear else torch.sigmoid(maps.flatten(1))
        answers = self.head(given)
        return answers + images.mean(dim=(1, 2, 3))[:, None] if self.has_way_around else answers


@pytest.mark.parametrize("is_linear", [True, False])
def test_lost_filters_are_zeros_for_the_rest_of_the_teacher(is_linear):
    """Against the same network written out, its lost maps set to zero; filter 5 is dropped and always zero."""
    network = Plain(is_linear=is_linear).eval()
    images = np.random.default_rng(0).standard_normal((5, 1, 4, 4)).astype(np.float32)
    partition = Partition(((0, 3), (1,), (2, 4)), 6)
    survivors = [frozenset(one) for n in range(4) for one in itertools.combinations(range(3), n)]
    found = answers_of_survivors(network, "relu", partition, survivors, {"images": images})
    for parts, answers in zip(survivors, found, strict=True):
        with torch.no_grad():
            maps = network.relu(network.conv(torch.from_numpy(images)))
            kept = [index for part in parts for index in partition.parts[part]]
            maps[:, [index for index in range(6) if index not in kept]] = 0
            given = maps.mean(dim=(2, 3)) if is_linear else torch.sigmoid(maps.flatten(1))
            assert answers == pytest.approx(network.head(given).numpy(), abs=1e-5)


def test_filters_that_the_answer_can_go_around_are_refused():
    with pytest.raises(DataError, match="alone"):
        answers_of_survivors(
            Plain(is_linear=True, has_way_around=True),
            "relu",
            Partition(((0,),), 6),
            [frozenset({0})],
            {"images": np.zeros((1, 1, 4, 4), np.float32)},
        )


def test_more_parts_than_can_be_gone_through_are_refused(make_context):
    with pytest.raises(PlanError, match="at most 10 parts"):
        perfect_student_bound(Partition(tuple((i,) for i in range(11)), 11), 11, "2", make_context())


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A cache with the published networks."""
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    for card in (ROOT / "models" / "digits").glob("*.json"):
        NetworkCache.default().take_in(card)


def run(*arguments: str):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_bound_of_the_published_teacher_for_digits(published):
    """The figures of a plain torch script: four of eight lost, Fiedler's parts .947 and .974; nothing lost is the teacher."""
    rows = json.loads(run("bound", DIGITS, "--strategy", "nonn", "--json").stdout)
    found = {(row["label"] or row["partitioner"], row["parts"]): row["bound"] for row in rows}
    for parts, left in ((8, 0.947), (4, 0.974)):
        assert found["fiedler", parts]["by_lost"][4] == pytest.approx(left, abs=0.002)
    assert found["random", 4]["by_lost"][4] == pytest.approx(0.992, abs=0.002)
    assert found["fiedler", 8]["by_lost"][0] == found["fiedler", 8]["teacher"] == pytest.approx(0.994, abs=0.001)
    assert ("nonn", 8) in found
    assert ("resilient-4", 4) not in found


def test_the_plan_of_students_says_the_bound(published):
    found = json.loads(run("plan", DIGITS, "--strategy", "resilient-4", "--json").stdout)
    assert found[0]["bound"]["by_lost"][4] == pytest.approx(0.974, abs=0.002)


def test_a_scenario_without_students_has_no_bound(silent):
    scenario = Scenario.load(ROOT / "scenarios" / "resilience-digits.yaml")
    with pytest.raises(PlanError, match="nonn and resilient"):
        bounds(scenario, ("ensemble",), "co-activation", silent)

"""What `edgesim search` reaches: beside 20 times as many random candidates, and for four of eight devices lost on Fashion-MNIST.

    python benchmarks/search.py many [--cases 6] [--evaluations 60]
    python benchmarks/search.py fashion [--output DIR]

`many`: random systems of 8 to 16 unequal devices, and the choices of four strategies (700 to 1,000 candidates). A search with so many
evaluations is held against the best of 20 times as many candidates drawn at random, of the same space, with the same exact costs; the
ratio is the best of those over what the search found, of the latency within a bound on the traffic. `fashion`: runs
`scenarios/search-fashion.yaml`, then asks all candidates and the ensemble, the best plan made by hand, image by image: the winner
is chosen by the first half of the test images, and its margin measured on the second half, over all 70 losses of four of eight devices.
"""

from __future__ import annotations

import argparse
import random
import sys
from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgesim.cli.progress import progress_on_stderr
from edgesim.domain.delivery import Delivery
from edgesim.interfaces import Silent
from edgesim.report.searched.folder import searched_into
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.prepare import Contexts
from edgesim.study.search.race import Runner
from edgesim.study.search.search import Entering, Searched, search
from edgesim.study.search.space import Space
from edgesim.study.tables.statistics import student

ROOT = Path(__file__).parents[1]
PROFILES = ("esp32-s3", "wearable", "raspberry-pi-zero-2w", "raspberry-pi-3b-plus", "raspberry-pi-4b", "phone-2015")
MORE = 20


def random_system(draw: random.Random) -> dict[str, Any]:
    """Return a scenario of 8 to 16 devices of random kinds in two cells, with the choices of its strategies."""
    names = [f"d{number:02}" for number in range(1, draw.randint(8, 16) + 1)]
    dtypes = [{"dtype": "float32"}, {"dtype": "float16"}, {"dtype": "int8"}]
    groups = ["d*", "d0[1-4]", "d0[5-8]", "d0[2468]", "d0[1357]", "d0[1-2]", "d0[3-4]", "d0[5-6]", "d0[7-8]"]
    grids = [[rows, columns] for rows in (1, 2, 3, 4) for columns in (1, 2, 3, 4)]
    paths = {
        "device of single": ("single.device", ["hub", *names]),
        "messages of single": ("single.messages", dtypes),
        "workers of modnn": ("modnn.workers", groups),
        "cut of modnn": ("modnn.cut", ["strips", "tiles", "channels"]),
        "execution of modnn": ("modnn.execution", ["mapreduce", "halo"]),
        "hub computes": ("modnn.owner_computes", [False, True]),
        "messages of modnn": ("modnn.messages", dtypes),
        "workers of tiles": ("tiles.workers", groups),
        "grid of tiles": ("tiles.grid", grids),
        "reuse of tiles": ("tiles.reuse", [False, True]),
        "first of chain": ("chain.devices.0", names[: len(names) // 2]),
        "second of chain": ("chain.devices.1", names[len(names) // 2 :]),
        "order of chain": ("chain.order", ["given", "any"]),
        "messages of chain": ("chain.messages", dtypes),
    }  # fmt: skip
    return {
        "name": "many",
        "replications": 1,
        "topology": {
            "devices": [{"id": "hub", "profile": "esp32-s3"}, *({"id": name, "profile": draw.choice(PROFILES)} for name in names)],
            "links": [
                {"between": ["hub", name], "bandwidth": f"{draw.choice((1, 2, 5, 10, 20, 50))} Mbit/s", "latency": f"{draw.randint(1, 20)} ms"}
                for name in names
            ],
        },
        "workload": {"input": [3, 32, 32], "classes": 10, "model": "small-cnn", "source": "hub", "sink": "hub"},
        "strategies": {
            "single": {"device": "hub"},
            "modnn": {"owner": "hub", "workers": "d*"},
            "tiles": {"type": "fused-tiles", "owner": "hub", "workers": "d*"},
            "chain": {"devices": [names[0], names[-1]]},
        },
        "goals": {"traffic": f"<= {draw.choice((4, 8, 16, 64))} kB"},
        "search": {
            "by": ["latency"],
            "choices": {name: {"path": f"strategies.{path}", "values": values} for name, (path, values) in paths.items()},
        },
    }  # fmt: skip


def many(n_cases: int, n_evaluations: int, seed: int = 1) -> list[float]:
    """Print by case what the search and 20 times as many random candidates find; return the ratios."""
    draw, ratios = random.Random(seed), []  # noqa: S311 - no secret
    print(
        "| devices | candidates | search | best of 20 times as many | ratio | s of search |\n|---|---|---|---|---|---|"
    )
    for _ in range(n_cases):
        content, contexts = random_system(draw), Contexts()
        content["search"]["evaluations"] = n_evaluations
        scenario = Scenario.from_data(content)
        started_s = perf_counter()
        found = search(scenario, {}, None, Silent(), contexts)
        taken_s = perf_counter() - started_s
        rival = _best_of_random(scenario, found, MORE * n_evaluations, draw, contexts)
        own = found.judge.rank(found.runners[0])
        ratios.append(rival[1] / own[1] if own[0] <= rival[0] else 0.0)
        print(
            f"| {len(content['topology']['devices']) - 1} | {found.n_candidates} | {1e3 * own[1]:.2f} ms | {1e3 * rival[1]:.2f} ms "
            f"| {ratios[-1]:.3f} | {taken_s:.0f} |",
            flush=True,
        )
    return ratios


def _best_of_random(
    scenario: Scenario, found: Searched, n: int, draw: random.Random, contexts: Contexts
) -> tuple[float, ...]:
    """Return the best rank of so many candidates drawn without repetition, or of all where there are no more."""
    asked = scenario.search
    if asked is None:
        raise ValueError("a scenario without a search")
    space = Space(tuple(scenario.strategies), asked.choices)
    entering = Entering(scenario, space, 1, None, Silent(), contexts)
    everyone = list(space)
    best: tuple[float, ...] = (float("inf"), float("inf"))
    for candidate in draw.sample(everyone, min(n, len(everyone))):
        runner = entering.runner(candidate)
        runner.grow(1)
        if runner.sample is not None:
            best = min(best, found.judge.rank(runner))
    return best


def fashion(folder: Path) -> None:
    """Print the best candidates, and the margin of the winner over the ensemble with its interval over test images."""
    scenario = Scenario.load(ROOT / "scenarios" / "search-fashion.yaml")
    found = searched_into(folder, scenario, {}, progress_on_stderr())
    finished = [one for one in found.runners if one.state == "finished"]
    hand = next(one for one in finished if str(one.candidate) == "ensemble: messages of ensemble=float32")
    print("| plan | accuracy | traffic B |\n|---|---|---|")
    for one in finished:
        print(f"| {one.candidate} | {one.mean('accuracy'):.4f} | {one.mean('traffic'):.0f} |")
    rivals = {str(one.candidate): _by_image(one) for one in [*finished, hand]}
    half = len(next(iter(rivals.values()))) // 2
    winner = max((name for name in rivals if name != str(hand.candidate)), key=lambda name: rivals[name][:half].mean())
    margin = student(100 * (rivals[winner] - rivals[str(hand.candidate)])[half:])
    print(
        f"\n{winner} - {hand.candidate}: {margin.value:+.2f} points, 95 % interval {margin.low:+.2f} to {margin.high:+.2f}"
    )


def _by_image(runner: Runner) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return for each test image how often it is classified rightly, over all losses of four of the eight devices."""
    sample = runner.sample
    if sample is None:
        raise ValueError(f"{runner.candidate} has no trials")
    prepared, deployment = sample.shared.prepared[0], sample.shared.deployments[0]
    results = [one for one in prepared.program.plan.transfers if one.kind == "result"]
    if len(results) != 8:
        raise ValueError(f"{runner.candidate} has {len(results)} results")
    right = np.zeros(len(prepared.targets))
    sets = list(combinations(results, 4))
    for lost in sets:
        answers = deployment.predict(Delivery(frozenset(one.step_id for one in lost)))
        right += answers.argmax(axis=1) == prepared.targets
    return right / len(sets)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["many", "fashion"])
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path("results/search-fashion-search"))
    options = parser.parse_args()
    if options.what == "fashion":
        fashion(options.output)
        return
    ratios = many(options.cases, options.evaluations)
    print(f"\nsmallest ratio {min(ratios):.3f}, mean {np.mean(ratios):.3f}")
    sys.exit(min(ratios) < 0.95)


if __name__ == "__main__":
    main()

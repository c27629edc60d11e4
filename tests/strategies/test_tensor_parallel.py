"""The cost of a token of a decoder that is cut over devices, and the clusters that it was measured on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from edgesim.errors import PlanError, ScenarioError
from edgesim.interfaces import Silent
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.plans import PlannedStrategy, plans

ROOT = Path(__file__).parents[2]


def planned(model: dict[str, Any], width: int, n: int, **options: Any) -> PlannedStrategy:
    """Return the plan of a token over n nodes."""
    strategy = {"type": "tensor-parallel", "root": "n1", "weight_bits": 4.5, "message_bits": 8.5, **options}
    scenario = Scenario.from_data({
        "name": "token",
        "topology": {
            "devices": [{"id": f"n{{1..{n}}}", "profile": "raspberry-pi-4b"}],
            "switches": [{"id": "switch"}],
            "links": [{"between": ["switch", "n*"], "bandwidth": "941 Mbit/s"}],
        },
        "workload": {"input": [1, 1, width], "classes": 320, "model": model, "source": "n1", "sink": "n1"},
        "strategies": {"cut": strategy | ({"workers": "n*"} if n > 1 else {})},
    }, allow_code=True)  # fmt: skip
    [one] = plans(scenario, (), Silent())
    return one


def kilobyte(one: PlannedStrategy) -> float:
    return sum(transfer.size_byte for transfer in one.plan.transfers) / 1024


def decoder(blocks: int, hidden: int, heads: int, kv_heads: int) -> dict[str, Any]:
    return {"type": "decoder-token", "blocks": blocks, "hidden": hidden, "heads": heads, "kv_heads": kv_heads}


@pytest.mark.parametrize(
    ("exchange", "width", "blocks", "model", "n", "printed"),
    [
        ("gather", 4096, 32, (11008, 32, 32), 2, 1112),  # distributed-llama 0.1.0, Llama 2 7B, 13B, 70B
        ("gather", 4096, 32, (11008, 32, 32), 8, 6008),
        ("gather", 5120, 40, (13824, 40, 40), 4, 4430),
        ("gather", 8192, 80, (28672, 64, 8), 8, 32873),
        ("reduce", 4096, 32, (14336, 32, 8), 2, 544),  # 0.3.1, Llama 3 8B
        ("reduce", 4096, 32, (14336, 32, 8), 4, 1632),
    ],
)
def test_messages_have_the_bytes_that_distributed_llama_printed(
    exchange: str, width: int, blocks: int, model: tuple[int, int, int], n: int, printed: float
):
    """Of one block, since all are alike; to 0.2 %, which is what rounding of the printed numbers leaves."""
    assert blocks * kilobyte(planned(decoder(1, *model), width, n, exchange=exchange)) == pytest.approx(
        printed, rel=2e-3
    )


def test_messages_of_32_bits_too():
    """4 D numbers a block: 14336 kB with eight nodes and 32 blocks of Llama 3 8B."""
    one = planned(decoder(1, 14336, 32, 8), 4096, 8, exchange="reduce", message_bits=32)
    assert 32 * kilobyte(one) == 14336


def test_all_nodes_together_do_the_work_and_hold_the_weights_of_one():
    """Of two blocks of width 64, hidden 96, two of four heads: 64 (64 + 32 + 32 + 64 + 3 x 96) weights each, and 320 x 64 at the root."""
    n_weights = 2 * 64 * (64 + 32 + 32 + 64 + 3 * 96)
    for exchange in ("gather", "reduce"):
        one = planned(decoder(2, 96, 4, 2), 64, 4, exchange=exchange)
        assert sum(step.work_flop for step in one.steps) == 2 * (n_weights + 320 * 64)
        assert sum(one.plan.weight_byte.values()) == (n_weights + 320 * 64) * 4.5 / 8
        assert len({one.plan.weight_byte[f"n{i}"] for i in (2, 3, 4)}) == 1
        assert not planned(decoder(2, 96, 4, 2), 64, 1, exchange=exchange).plan.transfers


def test_other_networks_are_refused():
    """When the scenario is read, and one that says nothing of its samples when it is distributed."""
    with pytest.raises(
        ScenarioError, match="it is for tokens of a decoder, but small-cnn is for images of one class each"
    ):
        planned({"type": "small-cnn", "pool_after": 0}, 64, 2)
    with pytest.raises(PlanError, match="networks of the models decoder and decoder-token only"):
        planned(
            {"type": "import", "target": "torch.nn:Linear", "options": {"in_features": 64, "out_features": 320}}, 64, 2
        )


@pytest.fixture(scope="module")
def seven() -> tuple[Any, Any]:
    """The benchmark and its rows."""
    import clusters

    return clusters, clusters.measured()


def test_the_scenario_has_what_two_rows_give_and_no_other(seven: tuple[Any, Any]):
    """Calibrated anew from those two rows alone, to the four digits that the scenario has; then the committed table comes out."""
    clusters, rows = seven
    two = [row for row in rows if row.cluster == "pi5" and row.model == "llama2-7b" and row.n in (1, 2)]
    numbers = clusters.calibrate(*two)
    assert all(row.is_calibrated == (row.model == "llama2-7b" and row.n in (1, 2)) for row in rows)
    topology, by_n = clusters.system("pi5", "llama2-7b")
    [device, *_] = topology.devices
    assert device.profile.memory_bandwidth_byte_per_s == pytest.approx(1 / numbers.byte_s, rel=1e-3)
    assert device.profile.layer_overhead_s == pytest.approx(numbers.layer_s, rel=1e-3)
    assert device.host_overhead.per_message_s == pytest.approx(numbers.message_s, rel=1e-3)
    with (ROOT / "docs" / "results" / "clusters.csv").open(encoding="utf-8") as file:
        [written] = [
            row
            for row in csv.DictReader(file)
            if (row["cluster"], row["model"], row["devices"]) == ("pi5", "llama2-7b", "4")
        ]
    found = clusters.token(topology, by_n[4])
    assert (found.computing_ms, found.total_ms) == pytest.approx(
        (float(written["computing_ms"]), float(written["total_ms"])), abs=0.006
    )

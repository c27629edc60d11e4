"""Fused tiles: what is read backwards through layers, what is done twice, and what a lost tile leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.records import Outage
from edgesim.engine.events.simulation import trace
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.nn.cut.staging import staged
from edgesim.nn.cut.tiles import tile_schedule
from edgesim.strategies.layers.fused_tiles import FusedTiles
from edgesim.study.trials.deliveries import deliveries_of
from edgesim.tasks.classification import Classification
from edgesim.testing import check_strategy

GRIDS = [(1, 1), (2, 2), (4, 2), (1, 4)]


def yolo_v2_front() -> nn.Module:
    """The first 16 layers of YOLOv2: eleven convolutions (3 x 3, and 1 x 1 where in brackets) and four poolings."""
    modules: list[nn.Module] = []
    n_channels = 3
    for size in [32, "pool", 64, "pool", 128, (64,), 128, "pool", 256, (128,), 256, "pool", 512, (256,), 512, (256,)]:
        if size == "pool":
            modules.append(nn.MaxPool2d(2))
            continue
        n_outputs, kernel = (size[0], 1) if isinstance(size, tuple) else (size, 3)
        modules.append(nn.Conv2d(n_channels, n_outputs, kernel, padding=kernel // 2, device="meta"))
        n_channels = n_outputs
    return nn.Sequential(*modules).eval()


@pytest.mark.parametrize(
    ("n", "work_factor", "input_mib", "peak_mib"),
    [
        (1, 1.000, 4.23, 56.4), (2, 1.247, 6.03, 20.0), (3, 1.529, 8.15, 16.0),
        (4, 1.845, 10.59, 11.6), (5, 2.196, 13.35, 9.1), (6, 2.570, 16.12, 7.9),
    ],
)  # fmt: skip
def test_yolo_v2_in_a_grid(n, work_factor, input_mib, peak_mib):
    """Multiply-adds against the whole, bytes of all inputs, and the largest input and output of a layer of a tile, by another program's rules.

    The figures follow from DeepThings' ftp.c (its traversal backwards), for 608 x 608 pixels, without reuse.
    """
    (stage,) = staged(yolo_v2_front(), (3, 608, 608), "fused", "tiles").stages
    schedule = tile_schedule(stage, (n, n), is_reusing=False)
    tiles = range(n * n)
    done = sum(
        work.work_flop
        for tile in tiles
        for work in stage.work(schedule.boxes_of(tile, schedule.phases[0]))
        if work.operator == "conv"
    )
    whole = sum(layer.cost.work_flop for layer in stage.layers if layer.cost.operator == "conv")
    input_byte = sum(stage.tensor(name).byte_of(box) for needs in schedule.needs for name, box in needs.items())
    peak_byte = max(
        layer.byte_of(box) + sum(stage.tensor(name).byte_of(read) for name, read in layer.reader.reads(box))
        for layer in stage.layers
        for box in schedule.boxes[layer.name]
    )
    assert round(done / whole, 3) == work_factor
    assert round(input_byte / 2**20, 2) == input_mib
    assert round(peak_byte / 2**20, 1) == peak_mib


def test_the_plans_of_yolo_v2_have_these_figures(make_context):
    """As above, but summed over the steps that are simulated: 13.0 billion multiply-adds in one tile, and what is scattered."""
    empty = Samples({"images": np.zeros((0, 3, 608, 608), np.float32)}, np.zeros(0, np.int64))
    network = nn.Sequential(*yolo_v2_front(), nn.Flatten(), nn.Linear(256 * 38 * 38, 3, device="meta"))
    dataset = Dataset("none", empty, empty, empty, Classification(3), "none", "none")
    context = make_context(network=network, dataset=dataset)
    found = []
    for n in range(1, 7):
        plan = FusedTiles("hub", grid=(n, n)).deploy(context).plan
        works = [work for step in plan.computes for work in step.work if work.operator == "conv"]
        n_byte = sum(transfer.size_byte for transfer in plan.transfers if "/scatter" in transfer.step_id)
        found.append((sum(work.work_flop for work in works) / 2e9, n_byte / 2**20))
    assert round(found[0][0], 1) == 13.0
    assert [round(work / found[0][0], 3) for work, _ in found] == [1.000, 1.247, 1.529, 1.845, 2.196, 2.570]
    assert [round(mib, 2) for _, mib in found] == [4.23, 6.03, 8.15, 10.59, 13.35, 16.12]


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("deadline_s", [None, 1.0])
def test_conforms(make_context, grid, reuse, deadline_s):
    """With everything delivered the network's answers; with any transfer lost an answer, or with wait a refusal."""
    on_missing = "wait" if deadline_s is None else "degrade"
    strategy = FusedTiles("hub", grid=grid, reuse=reuse, on_missing=on_missing, deadline_s=deadline_s)
    check_strategy(strategy, make_context())
    check_strategy(
        FusedTiles("hub", grid=grid, reuse=reuse, owner_computes=True), make_context(source_id="w1", sink_id="w2")
    )


def test_with_reuse_nothing_is_computed_that_a_tile_beside_has(make_context):
    """Of two tiles side by side the second computes its own columns only, in every layer; of its input it reads what they need."""
    context = make_context()
    (stage,) = staged(context.network, context.dataset.inputs, "fused", "tiles").stages
    schedule = tile_schedule(stage, (1, 2), is_reusing=True)
    columns = {name: [box[2] for box in boxes] for name, boxes in schedule.boxes.items()}
    first, *_, last = (layer.name for layer in stage.layers)
    # the last convolution reads one column more; of the pooling in front of it two more of the first convolution
    assert columns[last] == [range(2), range(2, 4)]
    assert columns[first] == [range(6), range(6, 8)]
    assert schedule.needs[0]["input_1"][2] == range(7)
    assert schedule.needs[1]["input_1"][2] == range(5, 8)
    assert sum(len(box) for boxes in columns.values() for box in boxes) == sum(layer.shape[2] for layer in stage.layers)


def front_and_back(network: nn.Sequential) -> tuple[nn.Module, nn.Module]:
    return network[:6], network[6:]


@pytest.mark.parametrize("name", ["scatter", "gather"])
def test_a_lost_tile_is_a_hole(make_context, name):
    """Without it the rest of the network sees zeros where the tile would be, and nothing else changes."""
    context = make_context()
    strategy = FusedTiles("hub", grid=(2, 2), on_missing="degrade", deadline_s=1.0)
    found = strategy.deploy(context).predict(Delivery(frozenset({f"tile 1,0/{name}"})))
    front, back = front_and_back(context.network)
    with torch.no_grad():
        between = front(torch.from_numpy(context.dataset.test.inputs["images"]))
        between[:, :, 2:, :2] = 0
        expected = back(between).numpy()
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_lost_overlap_is_zeros_for_the_tile_that_waits(make_context):
    """The tile on the right then computes from its own columns and zeros on the left of them, layer by layer."""
    context = make_context()
    strategy = FusedTiles("hub", "w[12]", grid=(1, 2), reuse=True, on_missing="degrade", deadline_s=1.0)
    deployment = strategy.deploy(context)
    assert [transfer.step_id for transfer in deployment.plan.transfers if "overlap" in transfer.step_id] == [
        "tile 0,1/overlap/0,0"
    ]
    found = deployment.predict(Delivery(frozenset({"tile 0,1/overlap/0,0"})))
    front, back = front_and_back(context.network)
    with torch.no_grad():
        images = torch.from_numpy(context.dataset.test.inputs["images"])
        between = front(images)
        own = front[:4](images)  # up to the pooling: columns 3 of 4 are the right tile's own, with what column 2 reads
        own[..., :3] = 0
        between[..., 2:] = front[4:](own)[..., 2:]
        expected = back(between).numpy()
    assert found == pytest.approx(expected, abs=1e-5)


def test_tiles_go_to_who_is_done_first(make_context):
    """Six equal tiles over devices of speeds 1, 1 and 2: the fast one gets as many as both others together."""
    strategy = FusedTiles("hub", grid=(4, 2))
    tiles = list(strategy.deploy(make_context((1.0, 1.0, 2.0))).describe()["tiles"].values())
    assert [tiles.count(name) for name in ("w1", "w2", "w3")] == [2, 2, 4]


POOLED = [
    {"assign": "stealing"},
    {"assign": "stealing", "owner_computes": True, "again_s": 0.5},
    {"again_s": 0.5},
    {"again_s": 0.5, "owner_computes": True},
]


@pytest.mark.parametrize("options", POOLED)
@pytest.mark.parametrize("deadline_s", [None, 1.0])
def test_handed_out_while_it_runs_conforms(make_context, options, deadline_s):
    """Whoever computes a tile, the answers are the network's."""
    on_missing = "wait" if deadline_s is None else "degrade"
    strategy = FusedTiles("hub", grid=(2, 2), on_missing=on_missing, deadline_s=deadline_s, **options)
    check_strategy(strategy, make_context())
    check_strategy(strategy, make_context(source_id="w1", sink_id="w2"))


def simulated(deployment, context, *outages):
    program = compile_plan(deployment.plan, context.topology, context.compute)
    found = trace(program, outages=outages, has_stays=True, is_checked=True)
    (record,) = found.records
    (met,) = deliveries_of(program, [(record.lost, "", 0)], seed=1)
    names = [program.steps.step[course.step].step_id for course in found.courses if course.ended_s >= 0.0]
    return record, met, [name for name in names if "/compute/" in name]


def test_a_fast_device_steals_more(make_context):
    """Eight tiles whose work dwarfs their bytes, devices of speeds 1 and 3: two and six tiles, and all bytes of requests, inputs and results."""
    context = make_context((1.0, 3.0))
    links = tuple(replace(link, bandwidth_bit_per_s=1e13) for link in context.topology.links)
    context = replace(context, topology=replace(context.topology, links=links))
    deployment = FusedTiles("hub", grid=(4, 2), assign="stealing").deploy(context)
    record, met, computed = simulated(deployment, context)
    assert [sum(name.endswith(end) for name in computed) for end in ("w1", "w2")] == [2, 6]
    assert deployment.predict(met) == pytest.approx(deployment.predict(Delivery()))
    static = simulated(FusedTiles("hub", grid=(4, 2)).deploy(context), context)[0]
    assert record.intermediate_byte == static.intermediate_byte
    assert record.input_byte == static.input_byte + 64 * (
        8 + 2
    )  # each tile is asked for, and once by each device for nothing


@pytest.mark.parametrize("options", [{"assign": "stealing"}, {"assign": "stealing", "again_s": 0.5}, {"again_s": 0.5}])
def test_a_tile_of_a_lost_device_is_a_hole_or_done_again(make_context, options):
    """w1 is lost at once, so that what it was given does not come back; with again the answer is the network's all the same."""
    context = make_context((1.0, 1.0))
    strategy = FusedTiles("hub", grid=(2, 2), on_missing="degrade", deadline_s=1.0, **options)
    deployment = strategy.deploy(context)
    whole = deployment.predict(Delivery())
    scattered = next(transfer for transfer in deployment.plan.transfers if transfer.step_id.endswith("scatter/w1"))
    outage = Outage("w1", 6e-5)  # its request has come, its tile is on the way
    record, met, _ = simulated(deployment, context, outage)
    assert scattered.dst_id == "w1"
    if strategy.again_s is None:
        assert record.outcome == "degraded"
        assert not np.allclose(deployment.predict(met), whole, atol=1e-3)
    else:
        assert (record.outcome, record.lost) == ("completed", 0)
        assert record.latency_s > 0.5
        assert deployment.predict(met) == pytest.approx(whole)


class Skipping(nn.Module):
    """A shortcut past the second convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(256, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.one(images)
        return self.head((self.two(first) + first).flatten(1))


def test_a_shortcut_is_fused_whole_or_refused(make_context):
    """The sum closes it; behind the second convolution, its input would be needed outside."""
    context = make_context(network=Skipping())
    check_strategy(FusedTiles("hub"), context)
    with pytest.raises(PlanError, match="read more than its output"):
        FusedTiles("hub", until="two").deploy(context)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owner": "w9"}, "no device 'w9'"),
        ({"owner": "hub", "workers": "x*"}, "matches no device"),
        ({"owner": "hub", "on_missing": "degrade"}, "a deadline goes with"),
        ({"owner": "hub", "deadline_s": 1.0}, "a deadline goes with"),
        ({"owner": "hub", "grid": (4, 3)}, "a grid of 4 x 3 leaves a tile"),
        ({"owner": "hub", "assign": "stealing", "reuse": True}, "reuse goes with static tiles"),
        ({"owner": "hub", "workers": "w1", "again_s": 0.1}, "no other device that could do a tile again"),
        ({"owner": "hub", "until": "nine"}, "cannot fuse layers until 'nine'; the layers that can be are 0, 1"),
    ],
)
def test_what_cannot_be_is_refused(make_context, options, message):
    """Each with what is wrong."""
    with pytest.raises(PlanError, match=message):
        FusedTiles(**options).deploy(make_context())


def test_nothing_to_fuse_is_refused(make_context, make_noise):
    """A network of linear layers."""
    context = make_context(network=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), dataset=make_noise((1, 8, 8)))
    with pytest.raises(PlanError, match="no layers can be"):
        FusedTiles("hub").deploy(context)

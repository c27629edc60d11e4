"""Cut networks equal uncut ones, and what is lost is zero exactly where it would have been read.

The reference is slow and independent: every device holds full-size tensors in which everything that it does not have is NaN,
and runs every layer whole. What a device computes from what it has is then a number, and exactly that is compared.
"""

from __future__ import annotations

import gc
import pickle
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import fx, nn

from edgesim.domain.networks.samples import Samples
from edgesim.nn.cut import network as module
from edgesim.nn.cut.network import NOTHING, CutNetwork, Damage, Room
from edgesim.nn.cut.schedule import schedule
from edgesim.nn.cut.staging import staged
from edgesim.nn.operators.axes import Window
from edgesim.nn.operators.boxes import index, volume
from edgesim.nn.operators.pieces import piece
from edgesim.strategies.modnn import stage_boxes


class Block(nn.Module):
    """A residual block: two branches, an addition, perhaps in place, a concatenation of what was read before."""

    def __init__(self, n_channels: int, kernel: int, *, is_in_place: bool, is_joined: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_channels, n_channels, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(n_channels)
        self.skip = nn.Conv2d(n_channels, n_channels, 1, bias=False)
        self.act = nn.ReLU(inplace=is_in_place)
        self.is_joined = is_joined

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.tanh(self.bn(self.conv(x)))
        y = y.add_(self.skip(x)) if self.act.inplace else y + self.skip(x)
        y = self.act(y)
        if self.is_joined:
            y = torch.cat([x, y], dim=1)
            y = nn.functional.max_pool2d(y, 3, 1, 1) - y * 0.5
        return y


class Functions(nn.Module):
    """A convolution, a normalisation and a pooling written as functions."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(n_channels, 1, 3, 2))
        self.register_buffer("mean", torch.empty(n_channels))
        self.register_buffer("variance", torch.empty(n_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.conv2d(x, self.kernel, padding=(1, 2), dilation=(1, 2), groups=x.shape[1])
        x = nn.functional.batch_norm(x, self.mean, self.variance)
        return nn.functional.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int, int]]:
    """Random small convolutional networks with random statistics, and the shape they take."""
    n_channels = draw(st.integers(1, 3))
    height, width = draw(st.integers(5, 11)), draw(st.integers(5, 11))
    shape = (n_channels, height, width)
    layers: list[nn.Module] = []
    if draw(st.booleans()):  # then two layers read different parts of the input of the first stage
        layers.append(Block(n_channels, 3, is_in_place=False, is_joined=False))
    for _ in range(draw(st.integers(1, 3))):
        kernel = draw(st.sampled_from([1, 3, 5]))
        n_out = draw(st.sampled_from([2, 4]))
        groups = draw(st.sampled_from([g for g in (1, 2) if n_channels % g == 0]))
        stride, dilation = draw(st.sampled_from([(1, 1), (2, 1), ((2, 1), 1), (1, 2)]))
        padding = draw(st.sampled_from([dilation * (kernel // 2), dilation * (kernel // 2) + 1]))
        layers.append(nn.Conv2d(n_channels, n_out, kernel, stride, padding, dilation, groups, bias=draw(st.booleans())))
        n_channels = n_out
        layers += draw(
            st.sampled_from(
                [
                    [],
                    [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)],
                    [nn.Sigmoid()],
                    [nn.MaxPool2d(2, 1, 1)],
                    [nn.ReLU(), nn.AvgPool2d(3, 2, 1, ceil_mode=True)],
                    [nn.AvgPool2d(3, 1, 1, count_include_pad=False)],
                    [nn.ReLU(), nn.AdaptiveAvgPool2d(5)],
                    [Functions(n_out)],
                ]
            )
        )
        if draw(st.booleans()):
            is_joined = draw(st.booleans())
            kernel = draw(st.sampled_from([1, 3]))
            layers.append(Block(n_channels, kernel, is_in_place=draw(st.booleans()), is_joined=is_joined))
            n_channels *= 1 + is_joined
    torch.manual_seed(draw(st.integers(0, 2**16)))
    n = draw(st.sampled_from([1, 2]))
    layers += [nn.AdaptiveAvgPool2d(n), nn.Flatten(), nn.Linear(n * n * n_channels, 6), nn.ReLU(), nn.Linear(6, 3)]
    return drawn(nn.Sequential(*layers)), shape


def samples(inputs):
    """Inputs whose targets nobody asks for."""
    return Samples({"inputs": inputs}, np.zeros(len(inputs)))


def drawn(network: nn.Module) -> nn.Module:
    """Give a network random weights and statistics."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand_like(tensor) + 0.1 if tensor.dim() == 1 else torch.randn_like(tensor)
    return network.eval()


def cut(
    network: nn.Module, shape: tuple[int, ...], speeds: list[float], execution: str = "mapreduce", form: str = "strips"
):
    staged_network = staged(network, shape, execution, form)
    boxes = [stage_boxes(stage, form, speeds) for stage in staged_network.stages]
    return staged_network, [schedule(stage, b) for stage, b in zip(staged_network.stages, boxes, strict=True)]


class Reference(fx.Interpreter):
    """Runs a network device by device: what a device has not is NaN, what was lost on the way to it is zero."""

    def __init__(self, network, schedules, damage) -> None:
        super().__init__(network.graph, garbage_collect_values=False)
        self.network, self.schedules, self.damage = network, schedules, damage
        self.stage_of = {layer.name: n for n, stage in enumerate(network.stages) for layer in stage.layers}
        self.layers = {layer.name: layer for stage in network.stages for layer in stage.layers}
        self.at_device: dict[tuple[str, int], torch.Tensor] = {}

    def run_node(self, node):
        number = self.stage_of.get(node.name)
        if number is None:
            with torch.no_grad():
                kept = {source: value.clone() for source, value in self.env.items() if isinstance(value, torch.Tensor)}
                result = super().run_node(node)
            self.env.update(kept)
            return result
        plan, lost, stage = self.schedules[number], self.damage[number], self.network.stages[number]
        owner_env = dict(self.env)
        gathered = None
        for device, box in enumerate(plan.boxes[node.name]):
            if not volume(box):
                continue
            for source in node.all_input_nodes:
                self.env[source] = self.what_device_has(node, source, owner_env, device, number)
            with torch.no_grad():
                whole = super().run_node(node)
            mine = torch.full_like(whole, torch.nan)
            mine[index(box)] = 0 if device in lost.idle else whole[index(box)]
            self.at_device[node.name, device] = mine
            gathered = torch.zeros_like(whole) if gathered is None else gathered
            if device not in lost.results:
                gathered[index(box)] = mine[index(box)]
            self.env = dict(owner_env)
        assert stage is not None
        return gathered

    def what_device_has(self, node, source, owner_env, device, number):
        plan, lost = self.schedules[number], self.damage[number]
        if self.stage_of.get(source.name) != number:
            has = torch.full_like(owner_env[source], torch.nan)
            need = plan.needs[device].get(source.name)
            if need is not None:  # else it reads padding only
                has[index(need)] = owner_env[source][index(need)]
            return has
        mine = self.at_device.get((source.name, device))
        has = next(t for (name, _), t in self.at_device.items() if name == source.name).clone().fill_(torch.nan)
        if mine is not None:
            box = index(plan.boxes[source.name][device])
            has[box] = mine[box]
        for position, message in enumerate(plan.messages):
            if message.dst == device:
                for name, box in message.parts:
                    if name == source.name:
                        is_lost = position in lost.messages or message.src in lost.idle
                        sent = self.at_device[name, message.src][index(box)]
                        assert not sent.isnan().any(), "a device sends only what it has made"
                        has[index(box)] = 0 if is_lost else sent
        return has


def reference(network, schedules, damage, inputs) -> np.ndarray:
    return Reference(network, schedules, damage).run(torch.from_numpy(inputs.copy())).numpy()


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


@settings(
    max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    networks(),
    st.lists(st.floats(0.05, 1), min_size=1, max_size=5),
    st.sampled_from(["mapreduce", "halo"]),
    st.sampled_from(["strips", "tiles", "channels"]),
    st.integers(0, 2**16),
    st.sampled_from([0, 2**14, 2**28]),
)
def test_cut_equals_uncut_and_what_is_lost_is_zero(case, speeds, execution, form, seed, kept_byte):
    """Everything delivered: the network, to 1e-5. Losses at random: the reference, to 1e-5; and in any order of asking."""
    network, shape = case
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((3, *shape)).astype(np.float32)
    before = inputs.copy()
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs.copy())).numpy()
    staged_network, schedules = cut(network, shape, speeds, execution, form)
    for stage, plan in zip(staged_network.stages, schedules, strict=True):
        for layer in stage.layers:
            assert sum(volume(box) for box in plan.boxes[layer.name]) == np.prod(layer.shape)
    runner = CutNetwork(staged_network, schedules, samples(inputs), room=Room(kept_byte))
    nothing = [NOTHING] * len(schedules)
    assert relative(runner.answers(nothing), expected) < 1e-5
    assert relative(reference(staged_network, schedules, nothing, inputs), expected) < 1e-5
    for share in (0.1, 0.4):
        damage = []
        for plan in schedules:
            draw = [rng.random(n) < share for n in (len(speeds), len(plan.messages), len(speeds))]
            damage.append(Damage(*(frozenset(np.flatnonzero(lost).tolist()) for lost in draw)))
        found = reference(staged_network, schedules, damage, inputs)
        assert np.isfinite(found).all()
        assert relative(runner.answers(damage), found) < 1e-5
    assert relative(runner.answers(nothing), expected) < 1e-5
    assert np.array_equal(inputs, before)


POOLS = {
    "maximum": lambda x: nn.functional.max_pool2d(x, 3, 2, 1),
    "ceil": lambda x: nn.functional.max_pool2d(x, (3, 2), 2, ceil_mode=True),
    "dilated": lambda x: nn.functional.max_pool2d(x, 2, stride=1, padding=1, dilation=3),
    "mean": lambda x: nn.functional.avg_pool2d(x, 3),
    "padded": lambda x: nn.functional.avg_pool2d(x, (3, 4), (1, 2), (1, 2)),
    "ceil_padded": lambda x: nn.functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "own": lambda x: nn.functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "divisor": lambda x: nn.functional.avg_pool2d(x, 2, 3, 1, divisor_override=3),
    "adaptive": lambda x: nn.functional.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive_maximum": lambda x: nn.functional.adaptive_max_pool2d(x, 5),
    "module": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "module_mean": nn.AvgPool2d(2, padding=1, ceil_mode=True, count_include_pad=False),
    "module_adaptive": nn.AdaptiveMaxPool2d((3, None)),
}


class Pooled(nn.Module):
    def __init__(self, pool) -> None:
        super().__init__()
        self.before, self.pool, self.after = nn.Conv2d(1, 2, 1), pool, nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.pool(self.before(x))).flatten(1)


@pytest.mark.parametrize("form", ["strips", "tiles", "channels"])
@pytest.mark.parametrize("name", POOLS)
def test_poolings_are_cut(name, form):
    """Every option of pooling, module or function, between two convolutions of one run: as uncut, more devices than rows too."""
    torch.manual_seed(0)
    network = Pooled(POOLS[name]).eval()
    shape = (1, 10, 9)
    inputs = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32) - 2  # never 0, so padding shows
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    for n_devices in (2, 3, 7):
        staged_network, plans = cut(network, shape, [1.0] * n_devices, "halo", form)
        (stage,) = staged_network.stages
        assert len(stage.layers) == 3, "the pooling is cut too"
        assert relative(CutNetwork(staged_network, plans, samples(inputs)).answers([NOTHING]), expected) < 1e-5


@pytest.mark.parametrize(
    "pool",
    [
        nn.AdaptiveAvgPool1d(12),
        nn.AdaptiveAvgPool1d(4),
        nn.AdaptiveAvgPool1d(1),
        nn.AdaptiveMaxPool1d(4),
        nn.MaxPool1d(3),
        nn.AvgPool1d(3),
    ],
)
def test_a_pooling_along_the_first_axis_is_not_cut(pool):
    """Features are pooled as if they were positions; a device that has a share of them cannot."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), pool, nn.ReLU())
    with torch.no_grad():
        n_left = network(torch.zeros(1, 10)).shape[1]
    network = drawn(network.append(nn.Linear(n_left, 3)))
    inputs = np.random.default_rng(0).standard_normal((5, 10)).astype(np.float32)
    staged_network, plans = cut(network, (10,), [1.0, 2.0, 1.5])
    runner = CutNetwork(staged_network, plans, samples(inputs))
    for lost in product(range(len(plans)), range(3)):
        damage = [Damage(results=frozenset({lost[1]} if number == lost[0] else ())) for number in range(len(plans))]
        assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5


class Strongest(nn.Module):
    """The larger of two channels that follow each other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool3d(x, (2, 1, 1))


@pytest.mark.parametrize(
    "pool", [nn.MaxPool3d((2, 1, 1)), nn.AvgPool3d((2, 1, 1)), nn.AdaptiveMaxPool3d(2), Strongest()]
)
@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
def test_a_pooling_over_channels_is_not_cut(execution, pool):
    """Torch takes the channels of images for positions there."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), pool, nn.Conv2d(2, 3, 1), nn.Flatten())
    inputs = np.random.default_rng(0).standard_normal((3, 1, 6, 6)).astype(np.float32)
    staged_network, plans = cut(drawn(network), (1, 6, 6), [1.0, 2.0, 1.5], execution)
    runner = CutNetwork(staged_network, plans, samples(inputs))
    for number, device in product(range(len(plans)), range(3)):
        damage = [Damage(results=frozenset({device} if one == number else ())) for one in range(len(plans))]
        assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5


def test_many_networks_keep_no_more_than_one_room():
    """Each keeps 37 kB. Room for two: the third leaves the first without; asked again it answers the same, bit for bit, and the second leaves."""
    network = drawn(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten()))
    staged_network, plans = cut(network, (1, 2, 2), [1.0, 1.0])
    inputs = np.random.default_rng(0).standard_normal((256, 1, 2, 2)).astype(np.float32)
    room = Room(all_byte=80_000)
    runners = [CutNetwork(staged_network, plans, samples(inputs), room=room) for _ in range(3)]
    damage = [Damage(results=frozenset({1}))]

    def kept() -> list[bool]:
        return [bool(runner._batches[0].whole) for runner in runners]

    found = [runner.answers(damage) for runner in runners]
    assert kept() == [False, True, True]
    assert np.array_equal(runners[0].answers(damage), found[0])
    assert kept() == [True, False, True]
    runners[2].answers(damage)
    runners[1].answers(damage)
    assert kept() == [False, True, True]  # of the other two, that which was asked last stays


def test_one_network_may_fill_the_room_and_a_deleted_one_leaves_it():
    """Each keeps 37 kB. Room for 10 kB in all: the one asked last keeps its own, alone; room for two of which one is deleted: a third has its place."""
    network = drawn(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten()))
    staged_network, plans = cut(network, (1, 2, 2), [1.0, 1.0])
    inputs = np.random.default_rng(0).standard_normal((256, 1, 2, 2)).astype(np.float32)
    for all_byte, kept in ((10_000, [False, True]), (80_000, [True, True])):
        room = Room(all_byte=all_byte)
        runners = [CutNetwork(staged_network, plans, samples(inputs), room=room) for _ in range(3)]
        first, *others = runners
        for runner in (others[0], first):
            runner.answers([NOTHING])
        del first, runner, runners
        gc.collect()
        others[-1].answers([NOTHING])
        assert [bool(runner._batches[0].whole) for runner in others] == kept


@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
@pytest.mark.parametrize("form", ["strips", "tiles", "channels"])
@pytest.mark.parametrize("n_axes", [1, 3])
def test_series_and_volumes_are_cut(n_axes, form, execution):
    """Convolutions, norms and poolings over one and three axes; with losses as the reference."""
    torch.manual_seed(0)
    convolution, norm, largest, mean = (
        getattr(nn, f"{kind}{n_axes}d") for kind in ("Conv", "BatchNorm", "MaxPool", "AvgPool")
    )
    layers = [
        convolution(1, 2, 3, 2, 2, 2),
        norm(2),
        largest(2, 1),
        convolution(2, 4, 3, padding=1, groups=2),
        mean(2, 1, 1),
    ]
    shape = (1, 9, 8, 7)[: 1 + n_axes]
    network = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))
    network(torch.zeros(2, *shape))
    network = drawn(network)
    inputs = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    staged_network, plans = cut(network, shape, [1.0, 0.7, 0.4], execution, form)
    runner = CutNetwork(staged_network, plans, samples(inputs))
    assert relative(runner.answers([NOTHING] * len(plans)), expected) < 1e-5
    damage = [Damage(messages=frozenset(range(0, len(plan.messages), 2)), results=frozenset({1})) for plan in plans]
    assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5


def test_positions_that_a_window_reads():
    """Kernel 5, stride 2, padding 2, 20 rows: output rows 1 and 2 read input rows 0 ... 6, the first one padding too."""
    window = Window(kernel=5, stride=2, before=2, dilation=1, n_inputs=20)
    assert window.reads(range(1, 3)) == range(7)
    assert window.reads(range(1)) == range(-2, 3)
    assert window.inputs(range(1)) == range(3)


def test_a_strip_gets_its_rows_and_the_halo_but_no_padding():
    """3x3 on 8 rows: the first half reads rows 0:5, the second 3:8; work and bytes follow from the tensors."""
    network = drawn(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1)))
    staged_network, (plan,) = cut(network, (2, 8, 6), [1.0, 1.0])
    (stage,) = staged_network.stages
    assert [need["input_1"][1] for need in plan.needs] == [range(5), range(3, 8)]
    (work,) = stage.work(plan.boxes_of(0, ["_0"]))
    assert work.work_flop == 2 * 4 * 6 * 4 * 9 * 2
    assert work.moved_byte == 4 * (5 * 6 * 2 + 4 * 6 * 4 + 4 * 2 * 9 + 4)


def test_a_share_of_the_channels_takes_a_share_of_the_filters():
    """Two of four filters of 3x3 on 8 x 6: half of the work and weights, and the whole input."""
    staged_network, (plan,) = cut(
        drawn(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1))), (2, 8, 6), [1, 1], form="channels"
    )
    (work,) = staged_network.stages[0].work(plan.boxes_of(0, ["_0"]))
    assert work.work_flop == 2 * 2 * 48 * 9 * 2
    assert work.moved_byte == 4 * (48 * 2 + 48 * 2 + 2 * 2 * 9 + 2)


@pytest.mark.parametrize(("form", "pooled"), [("strips", ["_0"]), ("tiles", ["_0"]), ("channels", ["_0", "_1"])])
def test_a_run_ends_where_nothing_is_left_to_cut(form, pooled):
    """Global pooling leaves one position, which one device would compute: the owner does; channels can still be cut."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)).eval()
    staged_network, _ = cut(network, (1, 8, 8), [1.0, 1.0], "halo", form)
    assert [layer.name for layer in staged_network.stages[0].layers] == pooled


def test_the_longer_axis_is_cut():
    """A wide image is cut in columns, a square one in rows; tiles of four equal devices are quarters."""
    for width, axis in ((9, 2), (4, 1)):
        _, (plan,) = cut(nn.Sequential(nn.Conv2d(1, 1, 1)).eval(), (1, 4, width), [1.0, 1.0])
        assert [len(box[axis]) for box in plan.boxes["_0"]] == [width - width // 2, width // 2]
    _, (plan,) = cut(nn.Sequential(nn.Conv2d(1, 1, 1)).eval(), (1, 4, 4), [1.0] * 4, form="tiles")
    assert {(box[1].start, box[2].start) for box in plan.boxes["_0"]} == {(0, 0), (0, 2), (2, 0), (2, 2)}


def test_tiles_are_as_large_as_devices_are_fast():
    """Speeds 1, 2, 3 and 6 on 12 x 12: rows 3 and 9 for the halves; 1:2 of the columns above, 1:2 below."""
    _, (plan,) = cut(nn.Sequential(nn.Conv2d(1, 1, 1)).eval(), (1, 12, 12), [1.0, 2.0, 3.0, 6.0], form="tiles")
    found = [(box[1].start, box[1].stop, box[2].start, box[2].stop) for box in plan.boxes["_0"]]
    assert found == [(0, 3, 0, 4), (0, 3, 4, 12), (3, 12, 0, 4), (3, 12, 4, 12)]


def test_a_strip_that_reads_nothing_but_padding():
    """Padding wider than the kernel: the border rows need no input, and equal the bias."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1, padding=2)).eval()
    staged_network, (plan,) = cut(network, (1, 3, 3), [1.0] * 7)
    assert [len(need.get("input_1", ((), range(0)))[1]) for need in plan.needs] == [0, 0, 1, 1, 1, 0, 0]
    inputs = np.ones((1, 1, 3, 3), np.float32)
    found = CutNetwork(staged_network, [plan], samples(inputs)).answers([NOTHING])
    assert np.allclose(found, network(torch.from_numpy(inputs)).detach())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding, dilation):
    """`same` with an even kernel pads one more row at the end; `valid` pads none."""
    network = nn.Sequential(nn.Conv2d(1, 2, 4, padding=padding, dilation=dilation), nn.Flatten(), nn.LazyLinear(3))
    inputs = np.random.default_rng(0).standard_normal((2, 1, 9, 8)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    staged_network, plans = cut(network.eval(), (1, 9, 8), [1.0] * 9)
    assert relative(CutNetwork(staged_network, plans, samples(inputs)).answers([NOTHING] * 2), expected) < 1e-5


def test_what_cannot_be_cut_is_left_to_a_segment():
    """Reflected padding, norms over the batch, and layers that something else reads too are not part of a stage."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mirrored = nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")
            self.conv = nn.Conv2d(2, 2, 3, padding=1)
            self.batchwise = nn.BatchNorm2d(2, track_running_stats=False)
            self.shared = nn.Conv2d(2, 2, 2)
            self.up = nn.ConvTranspose2d(2, 2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.batchwise(self.conv(self.mirrored(x)))
            z = self.shared(y)
            return (torch.relu(z) + self.up(z)[:, :, 1:, 1:]).mean((2, 3))

    torch.manual_seed(0)
    network = Odd().eval()
    staged_network, plans = cut(network, (1, 6, 6), [1.0, 2.0])
    assert [[layer.name for layer in stage.layers] for stage in staged_network.stages] == [["conv"], ["shared"]]
    inputs = np.random.default_rng(0).standard_normal((3, 1, 6, 6)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    assert relative(CutNetwork(staged_network, plans, samples(inputs)).answers([NOTHING] * 2), expected) < 1e-5


@pytest.mark.parametrize(("kept_byte", "n_kept"), [(2**29, 3), (100_000, 2), (0, 0)])
def test_no_more_is_kept_than_there_is_memory_for(kept_byte, n_kept):
    """Two batches of 512 samples of 4 + 16 + 16 numbers are 74 kB each, a third is small: all, the first and the third, or none stay; the answer is the same."""
    network = drawn(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten()))
    staged_network, plans = cut(network, (1, 2, 2), [1.0, 1.0])
    inputs = np.random.default_rng(0).standard_normal((2 * 512 + 1, 1, 2, 2)).astype(np.float32)
    runner = CutNetwork(staged_network, plans, samples(inputs), room=Room(kept_byte))
    damage = [Damage(results=frozenset({1}))]
    found = runner.answers(damage)
    assert sum(bool(batch.whole) for batch in runner._batches) == n_kept
    assert relative(found, reference(staged_network, plans, damage, inputs)) < 1e-5


@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
def test_what_is_fast_to_compute_again_makes_room(execution):
    """With room for less than everything activations leave, and convolutions that are only added and normalised; the answers are as the reference's."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image, self.first, self.norm = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
            self.second = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(torch.tanh(self.image(x)))
            x = x + self.second(torch.relu(self.norm(x)))
            return (x + torch.sigmoid(x)).flatten(1)

    network = drawn(Residual())
    inputs = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    staged_network, plans = cut(network, (1, 8, 8), [1.0] * 4, execution)
    losses = [
        [Damage(**{what: frozenset({1})}) if number == place else NOTHING for number in range(len(plans))]
        for place, plan in enumerate(plans)
        for what in ("idle", "results", *(["messages"] if len(plan.messages) > 1 else []))
    ]
    for room, left in ((2**20, set()), (9_000, {"tanh", "first", "relu", "second", "sigmoid"})):
        runner = CutNetwork(staged_network, plans, samples(inputs), room=Room(room))
        for damage in losses:
            assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5
        (batch,) = runner._batches
        assert {node.name for node in runner.nodes} - {node.name for node in batch.whole} == left


@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
@pytest.mark.parametrize("form", ["strips", "tiles", "channels"])
def test_a_tensor_that_is_spread_over_another(form, execution):
    """Each channel times its own number, as in squeeze and excitation: devices get all of the numbers that their part needs."""

    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.before(x)
            scale = torch.sigmoid(nn.functional.adaptive_avg_pool2d(x, 1))
            return self.after(scale * x).flatten(1)

    torch.manual_seed(0)
    network = Excited().eval()
    inputs = np.random.default_rng(0).standard_normal((3, 1, 7, 7)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    staged_network, plans = cut(network, (1, 7, 7), [1.0, 0.6, 0.8], execution, form)
    assert any(layer.name == "mul" for stage in staged_network.stages for layer in stage.layers) == (
        execution == "halo"
    )
    runner = CutNetwork(staged_network, plans, samples(inputs))
    assert relative(runner.answers([NOTHING] * len(plans)), expected) < 1e-5
    for part in ("idle", "results"):
        damage = [Damage(**{part: frozenset({1})}) for _ in plans]
        assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5
    damage = [Damage(messages=frozenset(range(len(plan.messages)))) for plan in plans]
    assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5


@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
def test_who_reads_an_overwritten_tensor_reads_what_it_became(execution):
    """A statement that changes a tensor in place and drops its result: later readers see the change."""

    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.before(x)
            nn.functional.relu_(y)
            return self.after(y).flatten(1)

    torch.manual_seed(0)
    network = Dropped().eval()
    inputs = np.random.default_rng(0).standard_normal((3, 1, 6, 6)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    staged_network, plans = cut(network, (1, 6, 6), [1.0, 1.0], execution)
    found = CutNetwork(staged_network, plans, samples(inputs)).answers([NOTHING] * len(plans))
    assert relative(found, expected) < 1e-5


def test_a_function_that_normalises_by_the_batch_is_not_cut():
    """With ``training=True`` the statistics given are not those that count: no device sees the whole batch and its positions."""

    class Batchwise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.register_buffer("mean", torch.zeros(2))
            self.register_buffer("variance", torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.batch_norm(self.conv(x), self.mean, self.variance, training=True).flatten(1)

    (stage,) = staged(Batchwise().eval(), (1, 6, 6)).stages
    assert [layer.name for layer in stage.layers] == ["conv"]


def test_what_is_kept_is_not_overwritten():
    """A layer that writes over its input does so on a copy: one stage after the other damaged, each answer is the reference's."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 1), Block(2, 3, is_in_place=True, is_joined=False), nn.Flatten())
    network = drawn(network)
    inputs = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
    staged_network, plans = cut(network, (1, 4, 4), [1.0, 1.0])
    runner = CutNetwork(staged_network, plans, samples(inputs))
    for damaged in (*range(len(plans)), *range(len(plans))):
        damage = [Damage(results=frozenset({1} if number == damaged else ())) for number in range(len(plans))]
        assert relative(runner.answers(damage), reference(staged_network, plans, damage, inputs)) < 1e-5


@pytest.mark.parametrize("activation", [nn.GELU(), nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.ReLU(), nn.BatchNorm2d(3)])
@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
def test_without_losses_each_device_computes_its_own_bits(execution, activation):
    """What runs at once has the bits that the boxes have."""
    torch.manual_seed(0)
    network = drawn(nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), activation, nn.Conv2d(3, 3, 3, padding=1)))
    inputs = np.random.default_rng(0).standard_normal((5, 1, 7, 7)).astype(np.float32)
    staged_network, plans = cut(network, (1, 7, 7), [1.0, 2.0, 1.5], execution)
    runner = CutNetwork(staged_network, plans, samples(inputs))
    runner.answers([NOTHING] * len(plans))
    (batch,) = runner._batches
    nodes = {node: layer for node in runner.nodes if (layer := runner.layers.get(node.name)) is not None}
    assert len(nodes) == 3
    for node, layer in nodes.items():
        read = [batch.whole[source] for source in runner.sources[node]]
        for box in runner.schedules[runner.stage_of[layer.name]].boxes[layer.name]:
            own = [tensor[index(part)] for tensor, (_, part) in zip(read, layer.reader.reads(box), strict=True)]
            with torch.inference_mode():
                found = piece(staged_network.graph, node, layer, box, own)
            assert torch.equal(found, batch.whole[node][index(box)])


@pytest.mark.parametrize("execution", ["mapreduce", "halo"])
def test_a_staged_network_survives_pickling(execution):
    """After pickling it computes the same, bit for bit, also when node names repeat."""
    torch.manual_seed(0)
    block = Block(2, 3, is_in_place=True, is_joined=False)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), block, block, Functions(2), nn.Flatten(), nn.Linear(2 * 5 * 4, 3))
    network = drawn(network)
    inputs = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    staged_network, plans = cut(network, (1, 8, 8), [1, 2], execution)
    damage = [Damage(results=frozenset({number % 2})) for number in range(len(plans))]
    copied = pickle.loads(pickle.dumps(staged_network))  # noqa: S301
    first, second = (CutNetwork(one, plans, samples(inputs)).answers(damage) for one in (staged_network, copied))
    assert np.array_equal(first, second)


def test_a_tensor_that_came_for_one_layer_is_there_for_the_next():
    """Two convolutions that read the same tensor: its border row is sent once each way."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(1, 1, 3, padding=1) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.a(x)
            return self.b(x) + self.c(x)

    _, (plan,) = cut(Twice().eval(), (1, 8, 8), [1.0, 1.0], "halo")
    assert [(m.phase, m.src, m.dst) for m in plan.messages] == [(1, 0, 1), (1, 1, 0)]
    assert [[box[1] for _, box in m.parts] for m in plan.messages] == [[range(3, 4)], [range(4, 5)]]
    assert {(use.layer, use.message) for use in plan.uses} == {("b", 0), ("b", 1), ("c", 0), ("c", 1)}


@pytest.mark.parametrize(("execution", "rows"), [("mapreduce", [2, 4]), ("halo", [1, 1])])
def test_only_the_rows_that_differ_are_convolved_again(monkeypatch, execution, rows):
    """Three convolutions of 3 on 16 rows, eight devices of two rows each. Of the first layer a result is lost: two rows differ that the second reads, and four
    that the third reads. In a run, a message with one row to the second device is lost before the second layer: one row of it differs, which the third reads."""
    network = drawn(nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(3)), nn.Flatten(), nn.Linear(256, 3)))
    staged_network, plans = cut(network, (1, 16, 16), [1.0] * 8, execution)
    inputs = np.random.default_rng(0).standard_normal((2, 1, 16, 16)).astype(np.float32)
    runner = CutNetwork(staged_network, plans, samples(inputs))
    damage = [NOTHING] * len(plans)
    if execution == "mapreduce":
        damage[0] = Damage(results=frozenset({3}))
    else:
        first = next(n for n, message in enumerate(plans[0].messages) if (message.src, message.dst) == (2, 3))
        damage[0] = Damage(messages=frozenset({first}))
    runner.answers([NOTHING] * len(plans))
    computed = []
    piece, convolved = module.piece, module.convolved
    monkeypatch.setattr(module, "piece", lambda *given: computed.append(len(given[3][1])) or piece(*given))
    monkeypatch.setattr(module, "convolved", lambda *given: computed.append(given[3].shape[2]) or convolved(*given))
    found = runner.answers(damage)
    assert computed == rows
    assert relative(found, reference(staged_network, plans, damage, inputs)) < 1e-5
    computed.clear()
    both = runner.answers_to([damage, [NOTHING] * len(plans), damage])
    assert computed == rows * 2
    assert all(np.array_equal(one, found) for one in both[::2])
    assert np.array_equal(both[1], runner.answers([NOTHING] * len(plans)))


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (1, 2, 1), (2, 3, 2), (4, 2, 3)])
def test_a_convolution_changes_by_what_its_change_convolves_to(padding, kernel, stride, dilation):
    """Every box of rows of 13, two columns or all, one channel or all: the convolution of the whole, before and after, differs by that in the box
    that reads it, and nowhere else."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, kernel, stride, padding, dilation).double()
    graph = staged(nn.Sequential(convolution).eval(), (3, 13, 12)).stages[0].layers[0]
    before = torch.randn(2, 3, 13, 12, dtype=torch.float64)
    for rows, columns, channels in product(
        combinations(range(14), 2), (range(12), range(5, 7)), (range(3), range(1, 2))
    ):
        changed = (channels, range(*rows), columns)
        after = before.clone()
        change = torch.randn(2, *map(len, changed), dtype=torch.float64)
        after[index(changed)] += change
        difference = convolution(after) - convolution(before)
        box = graph.reader.reached(0, changed, graph.shape)
        if volume(box):
            difference[index(box)] -= module.convolved(convolution, box, changed, change)
        assert difference.abs().max() < 1e-12

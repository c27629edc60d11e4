"""Cut networks equal uncut ones, and lost slices are zeros exactly where the next layer would have read them.

The reference is slow and independent: the whole network, layer by layer, with forward hooks that zero rows of full outputs.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgesim.nn.stages import Stage, Window, staged
from edgesim.nn.strips import SlicedNetwork
from edgesim.strategies.modnn import apportion


class Block(nn.Module):
    """A residual block whose addition and in-place ReLU lie between stages."""

    def __init__(self, n_channels: int, kernel: int, *, is_in_place: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_channels, n_channels, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(n_channels)
        self.skip = nn.Conv2d(n_channels, n_channels, 1, bias=False)
        self.act = nn.ReLU(inplace=is_in_place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.tanh(self.bn(self.conv(x)))
        y = y.add_(self.skip(x)) if self.act.inplace else y + self.skip(x)
        return self.act(y)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int, int]]:
    """Random small convolutional networks with random statistics, and the shape they take."""
    n_channels = draw(st.integers(1, 3))
    height, width = draw(st.integers(5, 11)), draw(st.integers(5, 11))
    shape = (n_channels, height, width)
    layers: list[nn.Module] = []
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
                [[], [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)], [nn.Sigmoid()], [nn.MaxPool2d(2, 1, 1)]]
            )
        )
        if draw(st.booleans()):
            layers.append(Block(n_channels, draw(st.sampled_from([1, 3])), is_in_place=draw(st.booleans())))
    seed = draw(st.integers(0, 2**16))
    torch.manual_seed(seed)
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * n_channels, 6), nn.ReLU(), nn.Linear(6, 3)]
    network = nn.Sequential(*layers).eval()
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand_like(tensor) + 0.1 if tensor.dim() == 1 else torch.randn_like(tensor)
    return network, shape


def cut(stage: Stage, speeds: list[float]) -> list[range]:
    counts = apportion(stage.n_rows, speeds)
    starts = np.cumsum([0, *counts])
    return [range(int(start), int(start) + count) for start, count in zip(starts, counts, strict=False) if count]


def reference(network: nn.Module, inputs: np.ndarray, lost_rows: dict[str, list[range]]) -> np.ndarray:
    """Run the whole network and zero rows of the output of the last layer of each stage.

    `lost_rows` names the stage's cut layer. What follows it directly, elementwise, is found by walking the modules by hand.
    """
    handles = []
    for name, ranges in lost_rows.items():
        parent, _, child = name.rpartition(".")
        holder = network.get_submodule(parent)
        if isinstance(holder, Block):
            target, function = (holder.bn, torch.tanh) if child == "conv" else (holder.skip, None)
        else:
            names = [key for key, _ in holder.named_children()]
            index = names.index(child)
            while index + 1 < len(names) and isinstance(holder[index + 1], (nn.BatchNorm2d, nn.ReLU, nn.Sigmoid)):
                index += 1
            target, function = holder[index], None

        def zero(_module, _args, output, ranges=ranges, function=function):
            # behind tanh the rows are zero exactly when they are zero in front of it
            assert function in (None, torch.tanh)
            output = output.clone()
            axis = 1 if output.dim() == 2 else 2 if output.shape[2] >= output.shape[3] else 3
            for rows in ranges:
                for row in rows:
                    output.select(axis, row).zero_()
            return output

        handles.append(target.register_forward_hook(zero))
    try:
        with torch.no_grad():
            return network(torch.from_numpy(inputs.copy())).numpy()
    finally:
        for handle in handles:
            handle.remove()


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    networks(),
    st.lists(st.floats(0.05, 1), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 2**28]),
)
def test_cut_equals_uncut_and_lost_slices_are_zeros(case, speeds, random, kept_byte):
    """Everything delivered: the network, to 1e-5. Slices lost at random: the reference, to 1e-5; and in any order of asking."""
    network, shape = case
    inputs = np.random.default_rng(random.randint(0, 2**16)).standard_normal((4, *shape)).astype(np.float32)
    before = inputs.copy()
    cuts = staged(network, shape)
    slices = [cut(stage, speeds) for stage in cuts.stages]
    assert all(
        [row for rows in ranges for row in rows] == list(range(s.n_rows))
        for s, ranges in zip(cuts.stages, slices, strict=True)
    )
    sliced = SlicedNetwork(cuts, slices, inputs, kept_byte)
    nothing = [frozenset()] * len(slices)
    assert relative(sliced.logits(nothing), reference(network, inputs, {})) < 1e-5
    n_stages = len(slices)
    patterns = [
        [frozenset({0}) if index == only else frozenset() for index in range(n_stages)] for only in range(n_stages)
    ]
    patterns += [
        [frozenset(i for i in range(len(ranges)) if random.random() < share) for ranges in slices]
        for share in (0.1, 0.5, 1.0)
    ]
    for lost in patterns:
        rows = {
            stage.name: [ranges[index] for index in indices]
            for stage, ranges, indices in zip(cuts.stages, slices, lost, strict=True)
        }
        assert relative(sliced.logits(lost), reference(network, inputs, rows)) < 1e-5
    assert relative(sliced.logits(nothing), reference(network, inputs, {})) < 1e-5
    assert np.array_equal(inputs, before)


def test_rows_that_an_output_row_reads():
    """Kernel 5, stride 2, padding 2: output rows 1 and 2 read input rows 0 ... 6."""
    window = Window(kernel=5, stride=2, before=2, dilation=1)
    assert window.reads(range(1, 3)) == range(7)
    assert window.reads(range(1)) == range(-2, 3)


def test_a_strip_gets_its_rows_and_the_halo_but_no_padding():
    """3x3 on 8 rows: the first half reads rows 0:5, the second 3:8; bytes follow from the tensors."""
    stage = staged(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1)), (2, 8, 6)).stages[0]
    assert stage.input_rows(range(4)) == range(5)
    assert stage.input_rows(range(4, 8)) == range(3, 8)
    assert stage.input_byte(range(4)) == 4 * 5 * 6 * 2
    assert stage.output_byte(range(4)) == 4 * 4 * 6 * 4
    assert stage.activation_byte(range(4)) == 4 * (5 * 6 * 2 + 4 * 6 * 4)
    work = stage.work(range(4))[0]
    assert work.work_flop == 2 * 4 * 6 * 4 * 9 * 2
    assert work.moved_byte == 4 * (5 * 6 * 2 + 4 * 6 * 4 + 4 * 2 * 9 + 4)


def test_the_longer_axis_is_cut():
    """A wide image is cut in columns, a square one in rows."""
    wide, square = (staged(nn.Sequential(nn.Conv2d(1, 1, 1)), (1, 4, width)).stages[0] for width in (9, 4))
    assert (wide.axis, wide.n_rows) == (3, 9)
    assert (square.axis, square.n_rows) == (2, 4)


def test_a_strip_that_reads_nothing_but_padding():
    """Padding wider than the kernel: the border rows need no input, and equal the bias."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1, padding=2)).eval()
    cuts = staged(network, (1, 3, 3))
    assert [len(cuts.stages[0].input_rows(range(row, row + 1))) for row in range(7)] == [0, 0, 1, 1, 1, 0, 0]
    inputs = np.ones((1, 1, 3, 3), np.float32)
    sliced = SlicedNetwork(cuts, [[range(row, row + 1) for row in range(7)]], inputs)
    assert np.allclose(sliced.logits([frozenset()]), network(torch.from_numpy(inputs)).detach())


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding):
    """`same` with an even kernel pads one more row at the end; `valid` pads none."""
    network = nn.Sequential(nn.Conv2d(1, 2, 4, padding=padding, dilation=2), nn.Flatten(), nn.LazyLinear(3))
    inputs = np.random.default_rng(0).standard_normal((2, 1, 9, 8)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    cuts = staged(network.eval(), (1, 9, 8))
    slices = [[range(row, row + 1) for row in range(stage.n_rows)] for stage in cuts.stages]
    assert relative(SlicedNetwork(cuts, slices, inputs).logits([frozenset()] * 2), expected) < 1e-5


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
            return (self.up(z)[:, :, 1:, 1:] + torch.relu(z)).mean((2, 3))

    torch.manual_seed(0)
    network = Odd().eval()
    cuts = staged(network, (1, 6, 6))
    assert [stage.nodes for stage in cuts.stages] == [("conv",), ("shared",)]
    inputs = np.random.default_rng(0).standard_normal((3, 1, 6, 6)).astype(np.float32)
    found = SlicedNetwork(cuts, [[range(2), range(2, 6)], [range(1), range(1, 5)]], inputs).logits([frozenset()] * 2)
    with torch.no_grad():
        assert relative(found, network(torch.from_numpy(inputs)).numpy()) < 1e-5


def test_a_staged_network_survives_pickling():
    """After pickling it computes the same, bit for bit, also when node names repeat."""
    torch.manual_seed(0)
    block = Block(2, 3, is_in_place=True)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), block, block, nn.Flatten(), nn.Linear(2 * 36, 3)).eval()
    inputs = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    cuts = staged(network, (1, 8, 8))
    slices = [cut(stage, [1, 2]) for stage in cuts.stages]
    lost = [frozenset({index % 2}) if index else frozenset() for index in range(len(slices))]
    copied = pickle.loads(pickle.dumps(cuts))  # noqa: S301
    assert np.array_equal(
        SlicedNetwork(cuts, slices, inputs).logits(lost), SlicedNetwork(copied, slices, inputs).logits(lost)
    )

"""Ten networks as ncnn runs them, layer by layer: work and bytes, for `benchmarks/devices.py`.

After the network descriptions beside the published times (Tencent/ncnn, benchmark/*.param; read of squeezenet, mobilenet_v3, shufflenet_v2,
efficientnet_b0 and alexnet, the others are after their papers): normalisation is folded into the
convolution before it, ReLU is part of it, other activations are layers of their own. Counted as `edgesim.nn.cost.layers.measure` counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edgesim.domain.plan import LayerWork

VALUE_BYTE = 4
WINOGRAD = "conv3x3"
"""What layers are called that ncnn computes by Winograd's method: dense 3x3 convolutions of stride 1."""


@dataclass
class Layers:
    """Layers so far, and the tensor (channels, side) that comes out of the last one."""

    channels: int = 3
    side: int = 224
    made: list[LayerWork] = field(default_factory=list)

    def conv(self, out: int, kernel: int, stride: int = 1, groups: int = 1, *, pad: bool = True) -> Layers:
        """Add a convolution with bias; without padding the side shrinks by the kernel."""
        side = -(-self.side // stride) if pad else (self.side - kernel) // stride + 1
        n_weights = kernel * kernel * self.channels // groups * out
        is_depthwise = groups == self.channels > 1
        kind = "depthwise" if is_depthwise else WINOGRAD if (kernel, stride) == (3, 1) else "conv"
        self._add(kind, 2.0 * n_weights * side * side, n_weights + out, out, side)
        return self

    def depthwise(self, kernel: int, stride: int = 1) -> Layers:
        return self.conv(self.channels, kernel, stride, self.channels)

    def linear(self, out: int) -> Layers:
        n_in = self.channels * self.side**2
        self._add("linear", 2.0 * n_in * out, n_in * out + out, out, 1)
        return self

    def pool(self, kernel: int, stride: int) -> Layers:
        """Add a pooling; ncnn rounds its side up."""
        side = -(-(self.side - kernel) // stride) + 1
        self._add("other", float(kernel**2 * self.channels * side**2), 0, self.channels, side)
        return self

    def mean(self) -> Layers:
        self._add("other", float(self.n), 0, self.channels, 1)
        return self

    def each(self, n_inputs: int = 1) -> Layers:
        """Add an operation on every element: an activation, a sum, a copy."""
        self._add("other", float(self.n), 0, self.channels, self.side, n_inputs=n_inputs)
        return self

    def concat(self, channels: int) -> Layers:
        """Put tensors together, which copies them."""
        self.channels = channels
        return self.each()

    def at(self, channels: int, side: int) -> Layers:
        """Go on from another tensor."""
        self.channels, self.side = channels, side
        return self

    @property
    def n(self) -> int:
        """Elements of the tensor."""
        return self.channels * self.side**2

    def _add(self, kind: str, work_flop: float, n_weights: int, channels: int, side: int, *, n_inputs: int = 1) -> None:
        n_moved = n_inputs * self.n + n_weights + channels * side**2
        name = f"{kind}-{len(self.made) + 1}"
        self.made.append(
            LayerWork(name, kind.removesuffix("3x3"), work_flop, VALUE_BYTE * n_moved, VALUE_BYTE * n_weights)
        )
        self.channels, self.side = channels, side


def squeezenet() -> Layers:
    """SqueezeNet 1.1, 227x227."""
    net = Layers(side=227).conv(64, 3, 2, pad=False).pool(3, 2)
    for squeeze, expand, is_pooled in (
        (16, 64, False), (16, 64, True), (32, 128, False), (32, 128, True), (48, 192, False), (48, 192, False), (64, 256, False), (64, 256, False),
    ):  # fmt: skip
        side = net.conv(squeeze, 1).side
        net.conv(expand, 1).at(squeeze, side).conv(expand, 3).concat(2 * expand)
        if is_pooled:
            net.pool(3, 2)
    return net.at(net.channels, net.side + 2).conv(1000, 1).mean().each()  # Caffe pads this 1x1 convolution


def mobilenet() -> Layers:
    net = Layers().conv(32, 3, 2)
    for out, stride in (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ):
        net.depthwise(3, stride).conv(out, 1)
    return net.mean().linear(1000).each()


def inverted(
    net: Layers,
    expanded: int,
    out: int,
    kernel: int,
    stride: int,
    *,
    act: bool = False,
    squeeze: int = 0,
    gate: int = 1,
) -> None:
    """Add an inverted residual: expand, depthwise, optionally squeeze and excite (with `gate` activations), project, sum."""
    before, side = net.channels, net.side
    if expanded != before:
        net.conv(expanded, 1)
        if act:
            net.each()
    net.depthwise(kernel, stride)
    if act and not (squeeze and gate == 2):
        net.each()
    if squeeze:
        inner = net.side
        net.mean().linear(squeeze)
        if gate == 1:
            net.each()
        net.linear(expanded)
        if gate == 2:
            net.each()
        net.at(expanded, inner).each()
        if gate == 2:
            net.each()
    net.conv(out, 1)
    if out == before and net.side == side:
        net.each(2)


def mobilenet_v2() -> Layers:
    net = Layers().conv(32, 3, 2)
    for t, out, n, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for i in range(n):
            inverted(net, t * net.channels, out, 3, stride if i == 0 else 1)
    return net.conv(1280, 1).mean().linear(1000).each()


def mobilenet_v3() -> Layers:
    """MobileNet v3 large; activations of its second half are layers."""
    net = Layers().conv(16, 3, 2).each().each(2)
    for expanded, out, kernel, stride, act, squeeze in (
        (16, 16, 3, 1, False, 0), (64, 24, 3, 2, False, 0), (72, 24, 3, 1, False, 0), (72, 40, 5, 2, False, 18), (120, 40, 5, 1, False, 30),
        (120, 40, 5, 1, False, 30), (240, 80, 3, 2, True, 0), (200, 80, 3, 1, True, 0), (184, 80, 3, 1, True, 0), (184, 80, 3, 1, True, 0),
        (480, 112, 3, 1, True, 120), (672, 112, 3, 1, True, 168), (672, 160, 5, 1, True, 168), (672, 160, 5, 2, True, 168),
        (960, 160, 5, 1, True, 240),
    ):  # fmt: skip
        inverted(net, expanded, out, kernel, stride, act=act, squeeze=squeeze, gate=2)
    return net.conv(960, 1).each().mean().each().linear(1280).each().linear(1000).each()


def shufflenet_v2() -> Layers:
    """ShuffleNet v2 1.0x."""
    net = Layers().conv(24, 3, 2).pool(3, 2)
    for out, n in ((116, 4), (232, 8), (464, 4)):
        half, before, side = out // 2, net.channels, net.side
        net.depthwise(3, 2).conv(half, 1).at(before, side).conv(half, 1).depthwise(3, 2).conv(half, 1)
        net.concat(out).each()
        for _ in range(n - 1):
            net.each().at(half, net.side).conv(half, 1).depthwise(3).conv(half, 1).concat(out).each()
    return net.conv(1024, 1).mean().linear(1000).each()


def efficientnet_b0() -> Layers:
    """EfficientNet-B0; its activations are layers."""
    net = Layers().conv(32, 3, 2).each()
    for t, out, n, stride, kernel in (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
    ):  # fmt: skip
        for i in range(n):
            before = net.channels
            inverted(net, t * before, out, kernel, stride if i == 0 else 1, act=True, squeeze=before // 4)
    return net.conv(1280, 1).each().mean().linear(1000).each()


def resnet18() -> Layers:
    net = Layers().conv(64, 7, 2).pool(3, 2)
    for out, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        before, side = net.channels, net.side
        if before != out or stride > 1 or len(net.made) == 2:
            net.conv(out, 1, stride).at(before, side)
        net.conv(out, 3, stride).conv(out, 3).each(2).each()
    return net.mean().linear(1000).each()


def resnet50() -> Layers:
    """ResNet-50 with its strides in the first convolution of a block."""
    net = Layers().conv(64, 7, 2).pool(3, 2)
    for width, n, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(n):
            before, side, stride = net.channels, net.side, first if i == 0 else 1
            if i == 0:
                net.conv(4 * width, 1, stride).at(before, side)
            net.conv(width, 1, stride).conv(width, 3).conv(4 * width, 1).each(2).each()
    return net.mean().linear(1000).each()


def alexnet() -> Layers:
    """AlexNet as Caffe has it, in two groups, 227x227."""
    net = Layers(side=227).conv(96, 11, 4, pad=False).each().pool(3, 2)
    net.conv(256, 5, groups=2).each().pool(3, 2)
    net.conv(384, 3).conv(384, 3, groups=2).conv(256, 3, groups=2).pool(3, 2)
    return net.linear(4096).linear(4096).linear(1000).each()


def vgg16() -> Layers:
    net = Layers()
    for out, n in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(n):
            net.conv(out, 3)
        net.pool(2, 2)
    return net.linear(4096).linear(4096).linear(1000).each()


NETWORKS: dict[str, Callable[[], Layers]] = {
    function.__name__: function
    for function in (
        squeezenet, mobilenet, mobilenet_v2, mobilenet_v3, shufflenet_v2, efficientnet_b0, resnet18, resnet50, alexnet, vgg16,
    )
}  # fmt: skip
"""In the order of the published table."""


def with_winograd(work: tuple[LayerWork, ...]) -> tuple[LayerWork, ...]:
    """Return layers with the multiplications that Winograd's F(4x4, 3x3) does: 36 in place of 144. Its transforms are not counted.

    A. Lavin, S. Gray, Fast algorithms for convolutional neural networks, CVPR 2016, arXiv 1509.09308, section 4.
    """
    return tuple(
        replace(one, work_flop=one.work_flop / 4) if one.layer_id.startswith(WINOGRAD) else one for one in work
    )

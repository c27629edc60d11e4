"""Computation time from operators that were measured on a machine, by kind and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np

from edgesim.compute.measured import Otherwise
from edgesim.compute.roofline import Roofline
from edgesim.domain.bounds import named, not_negative, one_of
from edgesim.domain.plan import Compute, LayerWork
from edgesim.domain.system.topology import DeviceProfile
from edgesim.errors import PlanError
from edgesim.units import Quantity, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST = 4  # sizes of a kind without which it goes by its operator class
_RANGE = 4.0  # distance in factors of e over which two sizes know of each other
_NOISE = 0.07  # variance of a measured ratio, as a share of that between sizes far apart
_NETWORK_WEIGHT, _SINCE_WEIGHT = (
    0.25,
    0.5,
)  # of a factor in the bytes of the network and in those since the last of the kind, in the distance
_CACHE_BYTE = (
    4e6  # networks that move more find their weights cold; assumed, between the caches of small boards and of servers
)
_CODE_BYTE = 1e6  # what moves more between two layers of a kind leaves little of its code and tensors in the fast caches; assumed


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """How long an operator of some size took.

    Parameters
    ----------
    operator : its class, one of `edgesim.domain.system.topology.OPERATORS`.
    kind : what it computes, e.g. ``conv2d 3x3``; see `edgesim.domain.plan.LayerWork`.
    work_flop : its arithmetic work, in FLOP.
    moved_byte : input, weights and output, in byte.
    weight_byte : the weights among them, in byte.
    network_byte : what all layers of the network moved in which it was measured, in byte: whether its weights stay in caches depends on that.
    since_byte : what it moved and what moved since the layer of the same kind before it, in byte (the last one of the previous inference goes before
        the first): whether its code stays in caches depends on that.
    time_s : what it took, in s.
    profile : name of the profile of the devices that it was measured on; empty: of all.
    """

    operator: str
    kind: str
    work_flop: Annotated[float, Quantity("FLOP")]
    moved_byte: Annotated[float, Quantity("byte")]
    weight_byte: Annotated[float, Quantity("byte")]
    network_byte: Annotated[float, Quantity("byte")]
    since_byte: Annotated[float, Quantity("byte")]
    time_s: Seconds
    profile: str = ""

    def __post_init__(self) -> None:
        named("a measured operator", operator=self.operator)
        subject = f"measured operator {self.kind or self.operator!r}"
        not_negative(
            subject,
            work_flop=self.work_flop,
            moved_byte=self.moved_byte,
            weight_byte=self.weight_byte,
            network_byte=self.network_byte,
            since_byte=self.since_byte,
        )
        if not self.time_s > 0:
            raise PlanError(f"{subject} has a time of {self.time_s:g} s; expected one above 0")


@dataclass(frozen=True, slots=True)
class Profiled:
    """Each layer takes as long as measured operators of its kind say, between the sizes that were measured.

    ``edgesim profile`` measures operators in many sizes on the machine it runs on, and writes them as a table beside a profile.

    Parameters
    ----------
    times : what was measured. The order does not matter.
    file : table with columns ``operator``, ``kind``, ``work``, ``moved``, ``weight``, ``network``, ``since`` and ``time``, and optionally ``profile``,
        relative to the scenario, in place of `times`.
    otherwise : of layers of a class that was not measured: ``refuse`` them, or take the time of the ``roofline``.

    Formula
    -------
    Of a layer of a kind: t = (t_0 + t_1 s + a F + b B + (c + d n) V) exp(k^T (K + 0.07 I)^-1 r), with F its work, B its bytes moved, V those of
    its weights, n = N / (N + 4 MB), N the bytes that all layers of the step move, s = S / (S + 1 MB), and S those since the last layer of its
    kind: t_1 and d are what caches cost that others have used.
    t_0, t_1, a, b, c, d >= 0 are fitted to the measured operators of the kind, by least squares of the relative error. r are the logarithms of
    measured / fitted time; k and K hold exp(-distance / 4) from the layer to the measured sizes and between these, in
    (ln F, ln B, ln V, ln(N) / 4, ln(S) / 2): the expectation of a random function of the sizes that is measured with noise (kriging). Range and noise were
    chosen by leaving probes out. A kind with fewer than 4 sizes goes by those with other windows, and else by all
    operators of its class.

    Validity
    --------
    The machine, the program and the number of threads of the measurement; one inference at a time, with batch 1. Far outside of the measured sizes the fitted line alone
    speaks. `edgesim validate` does not tell when a kind was not measured; what stands for it, see above.

    References
    ----------
    Regression by kind of layer: Y. Kang et al., Neurosurgeon, ASPLOS 2017, doi 10.1145/3037697.3037698, section 4. Interpolation: J. Sacks et al., Design and
    analysis of computer experiments, Statistical Science 4, 1989, doi 10.1214/ss/1177012413. Their combination is ours.

    Examples
    --------
    Four sizes that take 1 us and 1 ns for each FLOP; what lies between them does so too.

    >>> times = tuple(OperatorTime("conv", "conv2d 3x3", flop, 0.0, 0.0, 0.0, 0.0, 1e-6 + 1e-9 * flop) for flop in (1e3, 1e4, 1e5, 1e6))
    >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
    >>> step = Compute("conv1", "w1", (LayerWork("conv1", "conv", 5e4, 0.0, kind="conv2d 3x3"),))
    >>> round(1e6 * Profiled(times).duration_s(step, profile), 3)  # in us
    51.0
    """

    times: tuple[OperatorTime, ...] = ()
    file: str = ""
    otherwise: Otherwise = "refuse"
    _groups: dict[tuple[str, str, str], list[OperatorTime]] = field(init=False, repr=False, compare=False)
    _curves: dict[tuple[str, str, str], _Curve] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.file:
            raise PlanError(
                "a table of operators is read with its scenario and cannot be swept; write one scenario for each file"
            )
        if not self.times:
            raise PlanError("profiled computation needs `times` of operators, or a `file` that `edgesim profile` wrote")
        one_of("profiled computation", Otherwise, otherwise=self.otherwise)
        groups: dict[tuple[str, str, str], list[OperatorTime]] = {}
        for one in self.times:
            for kind in set(_kinds(one.kind)):
                groups.setdefault((one.profile, one.operator, kind), []).append(one)
        enough = {key: found for key, found in groups.items() if len(found) >= _FEWEST or not key[2]}
        object.__setattr__(self, "_groups", enough)
        object.__setattr__(self, "_curves", {})

    def duration_s(self, step: Compute, profile: DeviceProfile) -> float:
        """Return the time in s that `step` occupies a device of that profile.

        Raises
        ------
        PlanError
            When no operator of a layer's class was measured, unless the roofline stands in for it.
        """
        network_byte = sum(layer.moved_byte for layer in step.work)
        layers = zip(step.work, since_last(step.work), strict=True)
        return step.fixed_s + sum(self._layer_s(layer, (network_byte, since), profile) for layer, since in layers)

    def _layer_s(self, layer: LayerWork, around: tuple[float, float], profile: DeviceProfile) -> float:
        for name in (profile.name, ""):
            for kind in _kinds(layer.kind):
                key = name, layer.operator, kind
                if key in self._groups:
                    return self._curve(key).time_s(layer, around)
        if self.otherwise == "roofline":
            return Roofline().layer_s(layer, profile)
        raise PlanError(
            f"no operator of class {layer.operator!r} was measured on device profile {profile.name!r}, which layer {layer.layer_id!r} needs; "
            "measure it with `edgesim profile`, or write `otherwise: roofline`"
        )

    def _curve(self, key: tuple[str, str, str]) -> _Curve:
        """Return what is fitted to a kind, which is done when it is first asked for."""
        if key not in self._curves:
            self._curves[key] = _Curve.through(self._groups[key])
        return self._curves[key]


@dataclass(frozen=True, slots=True)
class _Curve:
    """The fitted line of a kind, and how much each measured size says of how far its neighbours are from it."""

    line: NDArray[np.float64]
    places: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def through(cls, times: Sequence[OperatorTime]) -> _Curve:
        """Fit the line to operators of one kind."""
        from scipy.optimize import nnls

        taken_s = np.array([one.time_s for one in times])
        terms = np.array([_terms(one, (one.network_byte, one.since_byte)) for one in times])
        scale = terms.max(axis=0)
        scale[scale == 0] = 1.0
        line = nnls(terms / scale / taken_s[:, None], np.ones(len(times)))[0] / scale
        places = np.array([_place(one, (one.network_byte, one.since_byte)) for one in times])
        alike = np.exp(-np.array([_distances(places, one) for one in places]) / _RANGE)
        ratios = np.log(taken_s / (terms @ line))
        return cls(line, places, np.linalg.solve(alike + _NOISE * np.eye(len(times)), ratios))

    def time_s(self, layer: LayerWork, around: tuple[float, float]) -> float:
        """Return the time of a layer of this kind."""
        alike = np.exp(-_distances(self.places, _place(layer, around)) / _RANGE)
        return float(_terms(layer, around) @ self.line * np.exp(alike @ self.weights))


def _kinds(kind: str) -> tuple[str, str, str]:
    """Return a kind, the same with any window, and none, which stands for the class."""
    name, _, rest = kind.partition(" ")
    return kind, f"{name} {rest.partition(' ')[2]}".strip(), ""


def since_last(work: Sequence[LayerWork]) -> list[float]:
    """Return, for each layer, the bytes that it moves and that moved since the layer of the same kind before it.

    What is computed again and again has the last one of its kind before the first.

    >>> since_last([LayerWork("a", "conv", 0, 10), LayerWork("b", "other", 0, 1), LayerWork("c", "conv", 0, 100)])
    [10.0, 111.0, 101.0]
    """
    passed, at, found = 0.0, dict[tuple[str, str], float](), [0.0] * len(work)
    for turn in range(2):
        for i, layer in enumerate(work):
            key = layer.operator, layer.kind
            if turn:
                found[i] = passed + layer.moved_byte - at[key]
            passed += layer.moved_byte
            at[key] = passed
    return found


def _terms(one: OperatorTime | LayerWork, around: tuple[float, float]) -> NDArray[np.float64]:
    network_byte, since_byte = around
    cold, strange = network_byte / (network_byte + _CACHE_BYTE), since_byte / (since_byte + _CODE_BYTE)
    return np.array([1.0, strange, one.work_flop, one.moved_byte, one.weight_byte, cold * one.weight_byte])


def _place(one: OperatorTime | LayerWork, around: tuple[float, float]) -> NDArray[np.float64]:
    place: NDArray[np.float64] = np.log1p(np.array([one.work_flop, one.moved_byte, one.weight_byte, *around]))
    place[3:] *= _NETWORK_WEIGHT, _SINCE_WEIGHT
    return place


def _distances(places: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sqrt(((places - place) ** 2).sum(axis=1))
    return found

"""From a network to the times of its layers, measured while it answers one sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from edgesim.domain.plan import LayerWork
from edgesim.nn.cost.layers import is_layer, layer_cost, layer_work
from edgesim.nn.cost.trace import entries, trace
from edgesim.nn.tensors import ask
from edgesim.nn.timing.clock import Conditions, Timed, Watch, clock_cost_s, now_s, one_thread, timed

if TYPE_CHECKING:
    from torch import nn

    from edgesim.domain.networks.samples import Dataset, Inputs

N_WARM_UP = 2
FEWEST = 20
"""Repetitions at least, however long they take."""
BETWEEN_S = 2e-6
"""Most that lies between two layers, in s: a call from Python and a reshaping take about as long on a processor of 2020."""


Layers = tuple[tuple[LayerWork, Timed], ...]
"""The layers of a network, in order, with their times."""


@dataclass(frozen=True, slots=True)
class TimedNetwork:
    """The layers of a network with their times, the time of the whole, and the state of the machine."""

    layers: Layers
    whole: Timed
    conditions: Conditions


class Rehearsed:
    """A network that is measured again and again, in turn as it is and layer by layer, so that both meet the same disturbances.

    Parameters
    ----------
    network : as it is evaluated; its weights do not matter for the time.
    inputs : the tensors of one sample, as of `edgesim.nn.cost.layers.measure`.
    sample : these tensors, with a batch axis of one.

    Raises
    ------
    DataError
        When the network cannot be traced.
    """

    def __init__(self, network: nn.Module, inputs: Inputs, sample: Mapping[str, torch.Tensor]) -> None:
        self._network, self._sample = network.eval(), sample
        traced = trace(network, inputs)
        self._nodes = [node for node in traced.graph.nodes if is_layer(traced, node)]
        seen: set[int] = set()
        self._works = [layer_work(layer_cost(traced, node, seen)) for node in self._nodes]
        self._stepwise = _Stepwise(traced)
        self._arguments = [sample.get(str(node.target), next(iter(sample.values()))) for node in entries(traced)]
        self._wholes_s: list[float] = []

    def run(self, seconds: float, fewest: int = FEWEST) -> None:
        """Repeat for some seconds, and at least so many times, after a few that do not count."""
        with one_thread():
            for _ in range(N_WARM_UP):
                self._once()
            self._wholes_s = self._wholes_s[:-N_WARM_UP]
            for times_s in self._stepwise.times_s.values():
                del times_s[-N_WARM_UP:]
            watch, n_before = Watch(), len(self._wholes_s)
            while len(self._wholes_s) < n_before + fewest or watch.elapsed_s < seconds:
                self._once()

    def _once(self) -> None:
        started_s = now_s()
        ask(self._network, self._sample)
        self._wholes_s.append(now_s() - started_s)
        self._stepwise.run(*self._arguments, enable_io_processing=False)

    def times(self) -> tuple[Layers, Timed]:
        """Return the time of each layer and of the whole.

        What the whole takes longer than its layers together is divided among them: up to `between_s` evenly (calls, reshaping), the rest in
        proportion (the quantile of a sum is more than the sum of quantiles).
        """
        cost_s = clock_cost_s()
        whole = timed([max(one - cost_s, 0.0) for one in self._wholes_s])
        alone = [timed([max(one - cost_s, 0.0) for one in self._stepwise.times_s[node]]) for node in self._nodes]
        together_s = sum(one.low_s for one in alone)
        between_s = min(max(whole.low_s - together_s, 0.0) / len(alone), BETWEEN_S)
        factor = max((whole.low_s - len(alone) * between_s) / together_s, 1.0) if together_s else 1.0
        layers = tuple(
            (work, Timed(factor * one.low_s + between_s, factor * one.median_s + between_s, one.n))
            for work, one in zip(self._works, alone, strict=True)
        )
        return layers, whole


def time_network(
    network: nn.Module, inputs: Inputs, sample: Mapping[str, torch.Tensor], seconds: float
) -> TimedNetwork:
    """Measure each layer of a network, and the whole, for some seconds; see `Rehearsed`."""
    watch, rehearsed = Watch(), Rehearsed(network, inputs, sample)
    rehearsed.run(seconds)
    return TimedNetwork(*rehearsed.times(), watch.conditions())


def sample_of(dataset: Dataset, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return one sample: the first test sample of a data set, or one of the right shapes where it has none."""
    if len(dataset.test):
        return {name: torch.from_numpy(array[:1].copy()) for name, array in dataset.test.inputs.items()}
    generator = torch.Generator().manual_seed(seed)
    return {name: _drawn(spec, dataset.n_values.get(name), generator) for name, spec in dataset.inputs.items()}


def _drawn(spec: Any, n_values: int | None, generator: torch.Generator) -> torch.Tensor:
    if n_values is not None:
        return torch.randint(0, n_values, (1, *spec.shape), generator=generator)
    return torch.randn((1, *spec.shape), generator=generator).to(getattr(torch, spec.dtype))


class _Stepwise(fx.Interpreter):
    """Runs a graph node by node and keeps how long each call took, without what is around it."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced, garbage_collect_values=True)
        self.times_s: dict[fx.Node, list[float]] = {}
        self._node: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        self._node = n
        return super().run_node(n)

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._timed(self.fetch_attr(target), args, kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._timed(target, args, kwargs)

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        owner, *rest = args
        return self._timed(getattr(owner, target), tuple(rest), kwargs)

    def _timed(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        started_s = now_s()
        result = call(*args, **kwargs)
        taken_s = now_s() - started_s
        assert self._node is not None  # noqa: S101 - set by run_node, which calls this
        self.times_s.setdefault(self._node, []).append(taken_s)
        return result

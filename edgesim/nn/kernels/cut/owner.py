"""What the owner of a cut network computes between two stages, and what it sends for the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from edgesim.interfaces import KEPT, SAMPLE
from edgesim.nn.kernels.cut.boxes import assembled
from edgesim.nn.kernels.cut.shares import decoded, read_of, written_of
from edgesim.nn.operators.boxes import index, volume
from edgesim.nn.operators.calls import call
from edgesim.nn.operators.readers import operands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgesim.nn.kernels.cut.stages import Cut

    Given = Mapping[str, Sequence[torch.Tensor]]


@dataclass
class OwnerKernel:
    """What the owner computes behind a stage, and what it sends for the next.

    Parameters
    ----------
    cut : the network.
    number : of the segment.
    held : names of the nodes that it kept before.
    """

    cut: Cut
    number: int
    held: tuple[str, ...]

    @property
    def keeps(self) -> tuple[str, ...]:
        """Names of the nodes that it keeps for later: what later segments and stages read, of all that it has then."""
        network = self.cut.network
        later = {name for segment in network.segments[self.number + 1 :] for name in segment.nodes}
        read = {source.name for name in later for source in operands(self.cut.node_of[name])}
        read |= {tensor.name for stage in network.stages[self.number :] for tensor in stage.inputs}
        read.add(network.output_name)
        made = [*self.held, *self._outputs(), *network.segments[self.number].nodes]
        return tuple(name for name in dict.fromkeys(made) if name in read and self._is_tensor(name))

    def _is_tensor(self, name: str) -> bool:
        return len(self.cut.node_of[name].meta["tensors"]) == 1

    def _outputs(self) -> tuple[str, ...]:
        return self.cut.network.stages[self.number - 1].outputs if self.number else ()

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the boxes that the devices read, and what is kept."""
        values: dict[fx.Node, Any] = {}
        if self.number:
            ids = self.cut.ids[self.number - 1]
            values = dict(zip((self.cut.node_of[name] for name in self.held), given[ids.before], strict=True))
            values |= self._gathered(given, there, values)
        for name in self.cut.network.segments[self.number].nodes:
            self._run(self.cut.node_of[name], values, given)
        results = self._scattered(values)
        if self.number == len(self.cut.ids):
            results |= {goal: [values[self.cut.node_of[self.cut.network.output_name]]] for goal in self.cut.goals}
        return {**results, KEPT: [values[self.cut.node_of[name]] for name in self.keeps]}

    def _run(self, node: fx.Node, values: dict[fx.Node, Any], given: Given) -> None:
        """Run a node, and before it what does not come as a tensor of its own."""
        names = self.cut.network.input_names
        if node in values:
            return
        if node.op == "placeholder" and node.name in names:
            sample = given[SAMPLE] if SAMPLE in given else next(iter(given.values()))
            values[node] = sample[self.cut.names.index(str(node.target)) if len(names) > 1 else 0]
        elif node.op == "placeholder":
            values[node] = node.args[0]
        else:
            sources = operands(node)
            for source in sources:
                self._run(source, values, given)
            values[node] = call(self.cut.network.graph, node, [values[source] for source in sources])

    def _scattered(self, values: Mapping[fx.Node, Any]) -> dict[str, list[torch.Tensor]]:
        if self.number == len(self.cut.ids):
            return {}
        ids, stage = self.cut.ids[self.number], self.cut.network.stages[self.number]
        shares = self.cut.divided(self.number)
        if shares is not None:
            source = values[operands(self.cut.node_of[stage.layers[0].name])[0]]
            return {goal: [source.index_select(-1, read_of(shares, device))] for device, goal in ids.scatters.items()}
        if self.cut.coded(self.number) is not None:
            inputs = [values[self.cut.node_of[tensor.name]] for tensor in stage.inputs]
            return dict.fromkeys(ids.scatters.values(), inputs)
        needs = self.cut.schedules[self.number].needs
        return {
            goal: [values[self.cut.node_of[name]][index(box)] for name, box in needs[device].items()]
            for device, goal in ids.scatters.items()
        }

    def _gathered(
        self, given: Given, there: Mapping[str, torch.Tensor], held: Mapping[fx.Node, Any]
    ) -> dict[fx.Node, torch.Tensor]:
        """Return the outputs of the stage before, put together from what came."""
        number = self.number - 1
        stage, ids = self.cut.network.stages[number], self.cut.ids[number]
        shares, coded = self.cut.divided(number), self.cut.coded(number)
        node = self.cut.node_of[stage.layers[0].name]
        if coded is not None:
            came = [ids.gathers[device] for device in sorted(ids.gathers)]
            return {node: decoded(coded, [given[name][0] for name in came], [there[name] for name in came])}
        results = self.cut.results(number, given)
        if shares is not None:
            return {node: self._summed(held[operands(node)[0]], shares, results)}
        are_there = {device: there[step_id] for device, step_id in ids.gathers.items()}
        return {self.cut.node_of[name]: self._joined(number, name, results, are_there) for name in stage.outputs}

    def _summed(
        self, inputs: torch.Tensor, shares: NDArray[np.int8], results: Mapping[int, Sequence[torch.Tensor]]
    ) -> torch.Tensor:
        """Return the bias and the partial sums that came."""
        module = self.cut.weight(self.number - 1)
        total = inputs.new_zeros((*inputs.shape[:-1], module.out_features))
        if module.bias is not None:
            total = total + module.bias
        for device, (sums,) in results.items():
            total = total.index_add(-1, written_of(shares, device), sums)
        return total

    def _joined(
        self,
        number: int,
        name: str,
        results: Mapping[int, Sequence[torch.Tensor]],
        there: Mapping[int, torch.Tensor],
    ) -> torch.Tensor:
        """Return one output of a stage; where nothing came, what stands for it."""
        stage, schedule = self.cut.network.stages[number], self.cut.schedules[number]
        parts = []
        for device, tensors in results.items():
            boxes = [(output, schedule.boxes[output][device]) for output in stage.outputs]
            sent = [(output, box) for output, box in boxes if volume(box)]
            parts += [
                (box, self.cut.completed(tensor, name, box, there[device]) if device in there else tensor)
                for (output, box), tensor in zip(sent, tensors, strict=False)
                if output == name
            ]
        return assembled(tuple(range(n) for n in stage.tensor(name).shape), parts)

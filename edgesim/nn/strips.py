"""Running a network slice by slice, as devices that share its layers would, with slices missing."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from edgesim.nn.stages import CONVOLUTIONS, StagedNetwork, paddings
from edgesim.nn.trace import is_in_place
from edgesim.nn.training import EVALUATION_BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgesim.nn.stages import Stage

_CONVOLVE: tuple[Any, ...] = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)
Tensors = dict[fx.Node, Any]


class SlicedNetwork:
    """A staged network whose stages are cut into slices, each computed from its own rows of the input.

    A slice that is lost leaves zeros in its rows of the stage's output, behind the activation, where the next layer reads
    them. The states in front of the first lost slice are kept from the run without losses, since they are the same.

    Parameters
    ----------
    network : the network, its modules in evaluation mode.
    slices : for each stage, disjoint ranges that cover its rows.
    inputs : the samples, shape (n, channels, height, width).
    kept_byte : memory for kept states; when they need more, none is kept and every run starts at the input.
    """

    def __init__(
        self,
        network: StagedNetwork,
        slices: Sequence[Sequence[range]],
        inputs: NDArray[np.float32],
        kept_byte: int = 2**28,
    ) -> None:
        self._network = network
        self._slices = slices
        self._kept_byte = kept_byte
        self._interpreter = fx.Interpreter(network.graph, garbage_collect_values=False)
        self._nodes: dict[str, fx.Node] = {node.name: node for node in network.graph.graph.nodes}
        self._needed = self._needed_later()
        stage_nodes = {name for stage in network.stages for name in stage.nodes}
        self._is_overwriting = any(
            is_in_place(network.graph, node) for name, node in self._nodes.items() if name not in stage_nodes
        )
        samples = torch.from_numpy(np.ascontiguousarray(inputs))  # type: ignore[no-untyped-call, unused-ignore]
        self._batches: tuple[torch.Tensor, ...] = samples.split(EVALUATION_BATCH)  # type: ignore[no-untyped-call]
        self._kept: list[list[Tensors]] | None = None
        self._whole: NDArray[np.float32] | None = None

    def logits(self, lost: Sequence[frozenset[int]]) -> NDArray[np.float32]:
        """Return the logits, shape (n, classes), when some slices are lost.

        Parameters
        ----------
        lost : for each stage, the positions in `slices` of the lost ones.
        """
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # more threads would change the order of sums, and wait for each other's cores
        try:
            with torch.inference_mode():
                if self._whole is None:
                    self._run_whole()
                first = next((index for index, slices in enumerate(lost) if slices), None)
                if first is None and self._whole is not None:
                    return self._whole
                return np.concatenate([self._damaged(index, lost, first or 0) for index in range(len(self._batches))])
        finally:
            torch.set_num_threads(n_threads)

    def _run_whole(self) -> None:
        """Run without losses and keep the state behind every stage if there is memory for it."""
        nothing = [frozenset[int]()] * len(self._network.stages)
        kept: list[list[Tensors]] = []
        answers = []
        free_byte = self._kept_byte
        for batch in self._batches:
            states: list[Tensors] = []
            answers.append(self._finish(self._start(batch), 0, nothing, states if free_byte >= 0 else None))
            free_byte -= sum(_byte_of(state) for state in states)
            if free_byte >= 0:
                kept.append(states)
        self._kept = kept if free_byte >= 0 else None
        self._whole = np.concatenate(answers)

    def _damaged(self, index: int, lost: Sequence[frozenset[int]], first: int) -> NDArray[np.float32]:
        """Run one batch from its first stage with a lost slice."""
        if self._kept is None:
            return self._finish(self._start(self._batches[index]), 0, lost)
        state = self._own(self._kept[index][first])
        stage = self._network.stages[first]
        last = self._nodes[stage.nodes[-1]]
        damaged = state[last].clone()
        for position in lost[first]:
            rows = self._slices[first][position]
            damaged.narrow(stage.axis, rows.start, len(rows)).zero_()
        state[last] = damaged
        return self._finish(state, first + 1, lost)

    def _start(self, batch: torch.Tensor) -> Tensors:
        return self._own({self._nodes[self._network.input_name]: batch})

    def _own(self, state: Tensors) -> Tensors:
        """Copy a state so that running on from it leaves it as it is; tensors only when some node overwrites its input."""
        return copy.deepcopy(state, {id(node): node for node in state}) if self._is_overwriting else dict(state)

    def _finish(
        self, state: Tensors, first: int, lost: Sequence[frozenset[int]], states: list[Tensors] | None = None
    ) -> NDArray[np.float32]:
        """Run from the segment in front of stage `first` to the end; append a copy of the state behind every stage to `states`."""
        self._interpreter.env = state
        for index, stage in enumerate(self._network.stages[first:], start=first):
            self._run_segment(index)
            gathered = self._run_stage(stage, self._slices[index], lost[index])
            state[self._nodes[stage.nodes[-1]]] = gathered
            for node in [node for node in state if node.name not in self._needed[index]]:
                del state[node]
            if states is not None:
                states.append(self._own(state))
        self._run_segment(len(self._network.stages))
        answer: NDArray[np.float32] = state[self._nodes[self._network.output_name]].numpy()
        return answer

    def _run_segment(self, index: int) -> None:
        for name in self._network.segments[index].nodes:
            node = self._nodes[name]
            if node.op != "placeholder":
                self._interpreter.env[node] = self._interpreter.run_node(node)

    def _run_stage(self, stage: Stage, slices: Sequence[range], lost: frozenset[int]) -> torch.Tensor:
        """Compute the slices that are not lost and put them together, zeros in place of the others."""
        source = self._interpreter.env[self._nodes[stage.source]]
        pieces = []
        for position, rows in enumerate(slices):
            if position not in lost:
                pieces.append(self._run_slice(stage, source, rows))
            else:
                shape = [len(source), *stage.output_shape]
                shape[stage.axis] = len(rows)
                pieces.append(source.new_zeros(shape))
        return torch.cat(pieces, dim=stage.axis)

    def _run_slice(self, stage: Stage, source: torch.Tensor, rows: range) -> torch.Tensor:
        """Compute one slice from nothing but the rows of the input that its device gets."""
        available = stage.input_rows(rows)
        piece = source.narrow(stage.axis, available.start, len(available)) if stage.window else source
        module = self._network.graph.get_submodule(str(self._nodes[stage.nodes[0]].target))
        result: torch.Tensor
        if isinstance(module, CONVOLUTIONS):
            result = _convolve(module, stage, piece, rows)
        elif isinstance(module, nn.Linear):
            index = slice(rows.start, rows.stop)
            bias: torch.Tensor | None = module.bias
            result = nn.functional.linear(piece, module.weight[index], None if bias is None else bias[index])
        else:
            raise TypeError(f"stage {stage.name!r} starts with a {type(module).__name__}, which cannot be cut")
        environment = self._interpreter.env
        nodes = [self._nodes[name] for name in stage.nodes]
        environment[nodes[0]] = result
        for node in nodes[1:]:
            result = environment[node] = self._interpreter.run_node(node)
        return result

    def _needed_later(self) -> list[set[str]]:
        """Return, for each stage, the names of the nodes whose results are used behind it."""
        network = self._network
        needed: set[str] = set()
        later: list[set[str]] = []
        for segment, stage in zip(reversed(network.segments), reversed(network.stages), strict=False):
            for name in segment.nodes:
                needed.update(source.name for source in self._nodes[name].all_input_nodes)
            later.append({*needed, network.output_name})
            needed.add(stage.source)
        return later[::-1]


def _convolve(
    module: nn.Conv1d | nn.Conv2d | nn.Conv3d, stage: Stage, piece: torch.Tensor, rows: range
) -> torch.Tensor:
    """Convolve the rows that a device has, with zeros where the layer's padding is."""
    padding = paddings(module)
    if stage.window is not None:
        reads, available = stage.window.reads(rows), stage.input_rows(rows)
        n_before = min(max(available.start - reads.start, 0), len(reads))
        padding[stage.axis - 2] = (n_before, len(reads) - len(available) - n_before)
    flat = [width for pair in reversed(padding) for width in pair]
    padded = nn.functional.pad(piece, flat) if any(flat) else piece
    convolve = _CONVOLVE[len(padding) - 1]
    result: torch.Tensor = convolve(
        padded, module.weight, module.bias, module.stride, 0, module.dilation, module.groups
    )  # fmt: skip
    return result


def _byte_of(state: Tensors) -> int:
    return sum(value.numel() * value.element_size() for value in state.values() if isinstance(value, torch.Tensor))

"""What a merger computes of the outputs of students that came: the head on their means, what stands in for lost parts, sums, and answers side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from edgesim.interfaces import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgesim.domain.networks.partition import Denominator
    from edgesim.nn.merging.heads import Head
    from edgesim.nn.merging.stand_ins import StandIns

    Given = Mapping[str, Sequence[torch.Tensor]]


class MergeKernel:
    """The mean of each part over the students that came, and a linear head on all parts.

    Parameters
    ----------
    inputs : of the step, by student.
    goals : the transfers that carry the answer.
    part_of, part_sizes, denominator : as of `edgesim.nn.distill.modules.StudentEnsemble`.
    weight : of the head, shape (numbers of an answer, features); None where the mean is the answer.
    bias : of the head, in the shape of an answer; zeros where there is none.
    means : what the mean of each student adds to the answer where it stands in for it; None for zeros.
    stand_in : predicts lost parts; None for none.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        goals: Sequence[str],
        *,
        part_of: Sequence[int],
        part_sizes: Sequence[int],
        bias: NDArray[np.float32],
        denominator: Denominator = "arrived",
        weight: NDArray[np.float32] | None = None,
        means: NDArray[np.float32] | None = None,
        stand_in: StandIns | None = None,
    ) -> None:
        self.inputs = inputs
        self.part_sizes = part_sizes
        self.denominator = denominator
        self.weight = None if weight is None else torch.from_numpy(np.ascontiguousarray(weight))
        self.bias = torch.from_numpy(np.ascontiguousarray(bias))
        self.means = None if means is None else torch.from_numpy(np.ascontiguousarray(means))
        self.stand_in = stand_in
        self.goals = (*goals, KEPT)
        self.part_of = tuple(part_of)
        n_parts = len(part_sizes)
        self.stands_for = torch.eye(n_parts)[list(part_of)].T.contiguous()  # shape (parts, students)

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the answer."""
        came = torch.stack([there[name] for name in self.inputs])
        n_came = self.stands_for @ came
        n_all = self.stands_for.sum(dim=1)
        divisor = n_came.clamp(min=1.0) if self.denominator == "arrived" else n_all
        weights = came * (1 / divisor)[list(self.part_of)]
        outputs = [given[name][0].flatten(1) for name in self.inputs]
        parts: list[torch.Tensor] = []
        for part in range(len(self.part_sizes)):
            members = [number for number, own in enumerate(self.part_of) if own == part]
            parts.append(torch.stack([weights[number] * outputs[number] for number in members]).sum(dim=0))
        features = torch.cat(parts, dim=1)
        if self.stand_in is not None:
            features = self.stand_in(features, (n_came > 0).to(features.dtype)[None])
        numbers = features if self.weight is None else features @ self.weight.T
        if self.means is not None:
            is_absent = (n_came == 0).to(came.dtype) if self.denominator == "arrived" else torch.ones_like(n_came)
            absent = (1 - came) * (is_absent / n_all)[list(self.part_of)]
            numbers = numbers + absent @ self.means
        answer = numbers.reshape(len(numbers), *self.bias.shape) + self.bias
        return {goal: [answer] for goal in self.goals}


class HeadOfSetKernel:
    """The head of exactly those students that came.

    Parameters
    ----------
    inputs : of the step, by student.
    goals : the transfers that carry the answer.
    network_of : which network each student is a copy of.
    sizes : features of each network.
    heads : for each set of networks.
    output : shape of an answer.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        goals: Sequence[str],
        *,
        network_of: Sequence[int],
        sizes: Sequence[int],
        heads: Mapping[tuple[bool, ...], Head],
        output: tuple[int, ...],
    ) -> None:
        self.inputs = inputs
        self.output = output
        self.goals = (*goals, KEPT)
        self.copies = [
            [number for number, own in enumerate(network_of) if own == network] for network in range(len(sizes))
        ]
        n_numbers = len(next(iter(heads.values()))[1])
        weights = np.zeros((2 ** len(sizes), n_numbers, sum(sizes)), np.float32)
        biases = np.zeros((2 ** len(sizes), n_numbers), np.float32)
        for left, (weight, bias) in heads.items():
            place = sum(2**network for network, is_left in enumerate(left) if is_left)
            weights[place][:, np.repeat(left, sizes)] = weight
            biases[place] = bias
        self.weights, self.biases = torch.from_numpy(weights), torch.from_numpy(biases)

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the answer."""
        place = torch.zeros(())
        features = []
        for network, copies in enumerate(self.copies):
            n_came = torch.stack([there[self.inputs[number]] for number in copies]).sum()
            place = place + (n_came > 0).to(torch.float32) * 2.0**network
            total = torch.stack([given[self.inputs[number]][0] for number in copies]).sum(dim=0)
            features.append(total / n_came.clamp(min=1.0))
        which = place.to(torch.int64)[None]
        weight, bias = self.weights.index_select(0, which)[0], self.biases.index_select(0, which)[0]
        numbers = torch.cat(features, dim=1) @ weight.T + bias
        answer = numbers.reshape(len(numbers), *self.output)
        return {goal: [answer] for goal in self.goals}


class SumsKernel:
    """The logarithm of the sum of what devices sent logarithms of.

    Parameters
    ----------
    inputs : of the step, by device.
    goals : the transfers that carry the answer.
    otherwise : the answer where nothing came.
    """

    def __init__(self, inputs: Sequence[str], goals: Sequence[str], otherwise: NDArray[np.float32]) -> None:
        self.inputs = inputs
        self.goals = (*goals, KEPT)
        self.otherwise = torch.from_numpy(np.ascontiguousarray(otherwise))

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the answer."""
        came = torch.stack([there[name] for name in self.inputs])
        sums = torch.stack([given[name][0] for name in self.inputs])
        known = torch.where(came[:, None, None] > 0, sums, torch.full_like(sums, float("-inf")))
        largest = known.amax(dim=0)
        total = largest + (known - largest).exp().sum(dim=0).log()
        answer = torch.where(came.sum() > 0, total, self.otherwise.expand_as(total))
        return {goal: [answer] for goal in self.goals}


class SideBySideKernel:
    """Answers to several questions side by side, each of any device that gave it.

    Parameters
    ----------
    inputs : of the step, by device.
    goals : the transfers that carry the answer.
    targets : the questions of each device, in the order of its answers.
    otherwise : the answers that nobody gave, by question.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        goals: Sequence[str],
        targets: Sequence[Sequence[int]],
        otherwise: NDArray[np.float32],
    ) -> None:
        self.inputs = inputs
        self.goals = (*goals, KEPT)
        self.targets = targets
        self.otherwise = torch.from_numpy(np.ascontiguousarray(otherwise))

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return the answers."""
        found = []
        for target in range(len(self.otherwise)):
            answer = self.otherwise[target].expand(1)
            for name, own in zip(self.inputs, self.targets, strict=True):
                if target in own:
                    answer = torch.where(there[name] > 0, given[name][0][:, own.index(target)], answer)
            found.append(answer)
        return {goal: [torch.stack(found, dim=1)] for goal in self.goals}

"""Networks of branches that read the same input side by side, and of whose numbers one linear layer makes the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Branched(nn.Module, ABC):
    """A network that can be divided by its branches, with a sum of what each adds to the answer.

    A subclass has `branches`, modules that each give `n_features` numbers to a sample, and `head`, a linear layer on all of them, branch
    after branch.
    """

    branches: nn.ModuleList
    head: nn.Linear

    @property
    def n_features(self) -> int:
        """Numbers that a branch gives."""
        return self.head.in_features // len(self.branches)

    @abstractmethod
    def alone(self, number: int, behind: nn.Module | None = None) -> nn.Module:
        """Return what a device needs to compute from the inputs the features of one branch, and what stands behind them.

        Weights are shared, not copied.
        """

    def share(self, number: int) -> nn.Linear:
        """Return the head's columns of one branch, without bias: what its features add to the answer."""
        first = number * self.n_features
        columns = self.head.weight.detach()[:, first : first + self.n_features]
        share = nn.Linear(self.n_features, self.head.out_features, bias=False)
        share.weight = nn.Parameter(columns.clone(), requires_grad=False)
        return share

    def adding(self, number: int) -> nn.Module:
        """Return what computes from the inputs what one branch adds to the answer, in evaluation mode."""
        return self.alone(number, self.share(number)).eval()

    def bias(self) -> torch.Tensor:
        """Return what the answer is without any branch, shape (*output)."""
        return self.head.bias.detach()

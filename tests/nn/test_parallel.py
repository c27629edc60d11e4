"""Students in threads."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from edgesim.nn.distill import parallel
from edgesim.nn.distill.parallel import ParallelFeatures


class Student(nn.Module):
    """A linear layer that notes in which threads it runs, forward and backward."""

    def __init__(self, *, draws: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.dropout = nn.Dropout(0.5 if draws else 0.0)
        self.forward_in: set[int] = set()
        self.backward_in: set[int] = set()
        self.layer.weight.register_hook(self._note)

    def _note(self, gradient: torch.Tensor) -> torch.Tensor:
        self.backward_in.add(threading.get_ident())
        return gradient

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.forward_in.add(threading.get_ident())
        return self.dropout(self.layer(inputs)) if self.dropout.p else self.layer(inputs)


def students(*, draws: bool = False) -> list[Student]:
    torch.manual_seed(0)
    return [Student(draws=draws) for _ in range(4)]


def gradients(networks: list[Student], n_threads: int) -> list[torch.Tensor]:
    """Gradients after three batches, with a loss in which all students meet."""
    features = ParallelFeatures(networks, n_threads)
    inputs = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        torch.cat(features({"inputs": inputs}), dim=1).square().sum(dim=1).sqrt().mean().backward()
    features.close()
    found = [network.layer.weight.grad for network in networks]
    return [gradient for gradient in found if gradient is not None]


def test_gradients_are_the_same_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Students in threads learn exactly what they learn one after another, and both passes do run in other threads."""
    monkeypatch.setattr(parallel, "WORTH_S", 0.0)
    alone, together = students(), students()
    wanted, found = gradients(alone, 1), gradients(together, 2)
    assert len(found) == 4
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))
    here = {threading.get_ident()}
    assert all(network.forward_in | network.backward_in == here for network in alone)
    assert all(network.forward_in - here and network.backward_in - here for network in together)


def test_students_that_draw_stay_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of draws must not depend on threads."""
    monkeypatch.setattr(parallel, "WORTH_S", 0.0)
    networks = students(draws=True)
    gradients(networks, 2)
    assert all(network.forward_in == {threading.get_ident()} for network in networks)


def test_students_too_small_to_gain_stay_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORTH_S", 1e9)
    networks = students()
    gradients(networks, 2)
    assert all(network.forward_in == {threading.get_ident()} for network in networks)

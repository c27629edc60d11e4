"""Student networks at the same time: each in a thread, with the same result, bit by bit, as one after another.

Students have nothing in common between their input and their features, so both directions of each may run in a thread of its own.
torch holds Python's lock only between operators; small students gain nothing.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from edgesim.nn.tensors import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WORTH_S = 0.004
"""Time of one student's forward pass from which on threads pay, in s; below it they wait for Python's lock."""


class ParallelFeatures:
    """The features of several students, whose forward and backward passes run in threads where that pays.

    The first batch runs in this thread, and is timed. Students that draw random numbers, as in dropout, stay in this thread, since the
    order of their draws would depend on the threads.

    Parameters
    ----------
    students : networks without common parameters.
    n_threads : at most so many at once; 1 for none.
    """

    def __init__(self, students: Iterable[nn.Module], n_threads: int) -> None:
        self._students = list(students)
        n_threads = min(n_threads, len(self._students))
        self._pool = (
            ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) if n_threads > 1 else None
        )
        self._is_tried = False

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return the features of every student, with gradients."""
        if self._pool is None:
            return [ask(network, inputs) for network in self._students]
        if not self._is_tried:
            return self._try(inputs)
        anchor = torch.zeros((), requires_grad=True)  # autograd asks a function back only if an input wants a gradient
        return list(_InThreads.apply(anchor, self._pool, self._students, inputs))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _try(self, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        self._is_tried = True
        before = torch.get_rng_state()
        started = time.perf_counter()
        features = [ask(network, inputs) for network in self._students]
        student_s = (time.perf_counter() - started) / len(features)
        if student_s < WORTH_S or not torch.equal(before, torch.get_rng_state()):
            self.close()
        return features


class _InThreads(torch.autograd.Function):
    """Runs students forward in threads, and backward in threads when their features' gradients are there."""

    @staticmethod
    def forward(
        ctx: Any,
        _anchor: torch.Tensor,
        pool: ThreadPoolExecutor,
        students: list[nn.Module],
        inputs: Mapping[str, torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        def one(network: nn.Module) -> torch.Tensor:
            with torch.enable_grad():
                features: torch.Tensor = ask(network, inputs)
                return features

        ctx.pool = pool
        ctx.features = list(pool.map(one, students))
        return tuple(features.detach() for features in ctx.features)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, None, None]:
        list(ctx.pool.map(torch.Tensor.backward, ctx.features, gradients))
        return None, None, None, None

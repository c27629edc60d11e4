"""Kernels whose messages are written with fewer bits: what comes is read first, and what leaves is written last."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgesim.domain.networks.messages import N_STEPS
from edgesim.interfaces import SAMPLE

if TYPE_CHECKING:
    from edgesim.domain.networks.messages import Dtype
    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Kernel

    Given = Mapping[str, Sequence[torch.Tensor]]


def with_rounding(kernels: Mapping[str, Kernel], plan: Plan, dtype: Dtype) -> dict[str, Kernel]:
    """Return kernels that tell each other rounded numbers, by the ids of their steps.

    Parameters
    ----------
    kernels : by the ids of the computations, and of transfers without inputs that do not carry the sample as it is.
    plan : whose transfers are rounded.
    dtype : of the numbers in them.
    """
    released: dict[str, Kernel] = {
        transfer.step_id: _AsItIs(transfer.step_id) for transfer in plan.transfers if not transfer.inputs
    }
    return {
        name: RoundedKernel(kernel, plan.transfer_ids, dtype) for name, kernel in (released | dict(kernels)).items()
    }


@dataclass
class _AsItIs:
    """Sends the sample."""

    goal: str

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:  # noqa: ARG002 - the seam's form
        return {self.goal: list(given[SAMPLE])}


@dataclass
class RoundedKernel:
    """A kernel whose messages are rounded as `edgesim.domain.networks.messages.Messages` says.

    Parameters
    ----------
    kernel : what is computed between.
    transfer_ids : what is a message; what a device has itself is not rounded.
    dtype : of the numbers in messages.
    """

    kernel: Kernel
    transfer_ids: Collection[str]
    dtype: Dtype

    def __call__(self, given: Given, there: Mapping[str, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        """Return what the kernel makes of what was written, written again."""
        came = {name: read(tensors) if name in self.transfer_ids else tensors for name, tensors in given.items()}
        results = self.kernel(came, there)
        return {
            goal: written(tensors, self.dtype) if goal in self.transfer_ids else list(tensors)
            for goal, tensors in results.items()
        }


def written(tensors: Sequence[torch.Tensor], dtype: Dtype) -> list[torch.Tensor]:
    """Return tensors as they lie in a message: of 8 bits the levels, and behind them the smallest and the largest number.

    >>> [one.tolist() for one in written([torch.tensor([0.0, 0.6, 127.5]), torch.tensor([7])], "int8")]
    [[0, 1, 255], [0.0, 127.5], [7]]
    """
    found: list[torch.Tensor] = []
    for tensor in tensors:
        if not tensor.is_floating_point() or not tensor.numel():
            found.append(tensor)
        elif dtype == "float16":
            largest = torch.finfo(torch.float16).max
            found.append(tensor.clamp(-largest, largest).to(torch.float16))
        else:
            low, high = tensor.amin(), tensor.amax()
            step = (high - low) / N_STEPS
            levels = torch.round((tensor - low) / torch.where(step > 0, step, 1.0))
            found += [levels.to(torch.uint8), torch.stack([low, high])]
    return found


def read(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the numbers of tensors that were written. Floating-point numbers behind bytes are their range: others are not sent.

    >>> [one.tolist() for one in read(written([torch.tensor([0.0, 0.6, 127.5]), torch.tensor([7])], "int8"))]
    [[0.0, 0.5, 127.5], [7]]
    """
    found: list[torch.Tensor] = []
    for tensor in tensors:
        if tensor.dtype == torch.float16:
            found.append(tensor.to(torch.float32))
        elif tensor.is_floating_point() and tensor.numel():
            low, high = tensor[0], tensor[1]
            found.append(low + (high - low) / N_STEPS * found.pop())
        else:
            found.append(tensor)
    return found

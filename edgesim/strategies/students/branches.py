"""A network of parallel branches, one on each device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgesim.domain.networks.partition import Missing
from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import LayerWork
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import known_device
from edgesim.strategies.students.kernels import student_kernels
from edgesim.strategies.students.networks import (
    StudentDeployment,
    Workload,
    devices_of_students,
    student_facts,
    student_plan,
    workload_of,
)
from edgesim.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from edgesim.interfaces import DeploymentContext, Kernel
    from edgesim.nn.models.branched import Branched


@dataclass(frozen=True, slots=True)
class Branches:
    """Put each branch of a network of parallel branches on a device of its own; what each adds to the answer is summed.

    It divides networks whose branches read the same input and whose last layer is linear: ``text-cnn``, a width on each device, and
    ``fdgnn``, a reservoir on each. The source sends the whole input to every device. A device computes its branch and that branch's
    columns of the last layer, and sends 4 byte per number of an answer to the merger, which adds what arrived and the bias. Nothing is
    trained besides the network; `branch_dropout` of ``text-cnn`` prepares it for losses.

    Parameters
    ----------
    devices : pattern of the devices that run branches, one each, in the order of the topology.
    merger : device that adds; the sink by default.
    deadline_s : how long the merger waits for branches, from the release of the request, or from the end of its own branch if it has one;
        without a deadline it waits until everything is there, for ever if something is lost.
    missing : what stands in for what a lost branch adds: nothing, as if its features were ``zeros``, or its ``mean`` over the training split, which
        the merger keeps.

    Formula
    -------
    Answer = bias + sum over the branches b that arrived of W_b f_b, f_b the features of a branch and W_b its columns of the last layer; with ``mean`` also
    the sum over the others of the mean of W_b f_b.
    Traffic = branches x input + branches x 4 byte x numbers of an answer.

    Validity
    --------
    With everything delivered the answers are those of the whole network up to the order of float additions. A layer that branches share, as
    the vectors of tokens, lies on every device.

    References
    ----------
    Our own; the widths are those of Y. Kim, EMNLP 2014, doi 10.3115/v1/D14-1181.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"texts", "graphs"})
    devices: DeviceGlob = "*"
    merger: DeviceId | None = None
    deadline_s: Seconds | None = None
    missing: Missing = "zeros"

    def deploy(self, context: DeploymentContext) -> StudentDeployment:
        """Return the deployment; what each branch adds to the answers is computed here, once.

        Raises
        ------
        PlanError
            When the network has no parallel branches, or devices and branches do not match.
        """
        import numpy as np

        from edgesim.nn.train.training import forward

        network = branched(context)
        merger_id = known_device(context, "merger", context.sink_id if self.merger is None else self.merger)
        device_ids = devices_of_branches(context, self.devices, len(network.branches), merger_id)
        adding = [network.adding(number) for number in range(len(network.branches))]
        placed = [
            (device_id, workload_of(one, context.dataset.inputs))
            for device_id, one in zip(device_ids, adding, strict=True)
        ]
        n_kept = len(adding) if self.missing == "mean" else 0
        head = sum_of(len(adding), context.dataset.task.output.size, n_kept)
        plan, needs = student_plan(context, placed, merger_id, head, self.deadline_s)
        means, own_bias = None, network.bias().numpy()
        added, bias = (np.stack([forward(one, context.dataset.test.inputs) for one in adding])), own_bias
        if self.missing == "mean":
            means = np.stack([forward(one, context.dataset.train.inputs).mean(axis=0) for one in adding])
            added, bias = added - means[:, None], bias + means.sum(axis=0)

        def merging(inputs: Sequence[str], goals: Sequence[str]) -> Kernel:
            from edgesim.nn.kernels.students import MergeKernel

            weight = np.tile(np.eye(bias.size, dtype=np.float32), len(adding))
            sizes = (bias.size,) * len(adding)
            return MergeKernel(
                inputs, goals, part_of=range(len(adding)), part_sizes=sizes, weight=weight, bias=own_bias, means=means
            )

        return StudentDeployment(
            plan=plan,
            contributions=added,
            bias=bias,
            part_of=tuple(range(len(adding))),
            needs=needs,
            required=tuple(sorted(plan.transfer_ids.difference(*needs))),
            facts=branch_facts(adding, placed),
            here=Here(lambda: student_kernels(plan, adding, list(context.dataset.inputs), merging)),
        )


def branched(context: DeploymentContext) -> Branched:
    """Return the network of the workload as one of parallel branches. Raises `PlanError` when it has none."""
    from edgesim.nn.models.branched import Branched

    if not isinstance(context.network, Branched):
        raise PlanError(
            f"it divides a network by its parallel branches, but a {type(context.network).__name__} has none; take the model text-cnn or "
            "fdgnn, or another strategy"
        )
    return context.network


def devices_of_branches(context: DeploymentContext, pattern: str, n_branches: int, merger_id: str) -> tuple[str, ...]:
    """Return the device of each branch, in the order of the topology.

    Raises
    ------
    PlanError
        When their number is not that of the branches, or devices that must talk have no route.
    """
    n_devices = sum(is_selected(device_id, pattern) for device_id in context.topology.device_of)
    if n_devices != n_branches:
        raise PlanError(
            f"{n_branches} branches need {n_branches} devices, but {pattern!r} matches {n_devices}; give a pattern that matches "
            f"{n_branches}, or the model {n_devices} branches"
        )
    return devices_of_students(context, pattern, n_branches, merger_id)


def branch_facts(networks: list[nn.Module], placed: list[tuple[str, Workload]]) -> dict[str, Any]:
    """Return what a reader of the results should know about each branch."""
    return {
        "branches": [
            student_facts(device_id, network, cost) for network, (device_id, cost) in zip(networks, placed, strict=True)
        ]
    }


def sum_of(n_parts: int, n_numbers: int, n_kept: int) -> Workload:
    """Count a sum of the bias and of a number from each part, whether that arrived or is one of `n_kept` that stand in for it."""
    moved_byte = 4.0 * (n_parts + 2) * n_numbers
    work = LayerWork("sum", "other", float(n_parts * n_numbers), moved_byte)
    return Workload((work,), 4 * (1 + n_kept) * n_numbers, 4 * (n_parts + 1) * n_numbers, 4 * n_numbers)

"""Students with a head for every set of them that may be left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgesim.domain.networks.messages import AS_COMPUTED, Messages
from edgesim.domain.plan import LayerWork
from edgesim.errors import PlanError
from edgesim.nn.kernels.here import Here
from edgesim.strategies.ends import received_answers, require_delivered
from edgesim.strategies.students.networks import Workload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.domain.plan import Plan
    from edgesim.interfaces import Kernel
    from edgesim.nn.merging.heads import Head

HeadOf = Literal["all", "per-survivors"]
"""One head that learns with the students, or one for each set of them, solved afterwards."""
MOST = 12
"""Networks of which every set has a head: 4096 heads."""


def check_heads(n_networks: int) -> None:
    """Refuse more heads than a merger would hold."""
    if n_networks > MOST:
        raise PlanError(
            f"head: per-survivors makes a head for each of the 2^{n_networks} sets of {n_networks} students; it takes at most {MOST}"
        )


def heads_of_sets(sizes: Sequence[int], n_numbers: int) -> Workload:
    """Count the heads of all sets of students: all lie in memory, that of all students is computed.

    Of S students with F features together these are 4 byte x numbers of an answer x (2^(S - 1) F + 2^S).

    Examples
    --------
    Two students with three features each, ten classes: 40 x (2 x 6 + 4).

    >>> heads_of_sets((3, 3), 10).weight_byte
    640
    """
    n_features, n_students = sum(sizes), len(sizes)
    n_weights = n_numbers * (2 ** (n_students - 1) * n_features + 2**n_students)
    moved_byte = 4.0 * (n_features + n_numbers * (n_features + 1) + n_numbers)
    work = LayerWork("head", "linear", 2.0 * n_features * n_numbers, moved_byte)
    return Workload((work,), 4 * n_weights, 4 * (n_features + n_numbers), 4 * n_numbers)


@dataclass(frozen=True, slots=True, eq=False)
class SurvivorHeads:
    """Student networks on their devices, with a head for every set of them; holds numbers only, no networks.

    Parameters
    ----------
    plan : the steps of one inference.
    needs : the transfers without which a student does not count.
    required : the transfers without which there is no answer.
    features : what the merger has of each student on the test split, shape (n, features).
    network_of : which network each student is a copy of.
    heads : for each set of networks.
    output : shape of an answer.
    facts : what `describe` returns.
    messages : how numbers are written in them; what they hold is in the features.
    here : makes the kernels.
    """

    plan: Plan
    needs: tuple[frozenset[str], ...]
    required: tuple[str, ...]
    features: tuple[NDArray[np.float32], ...]
    network_of: tuple[int, ...]
    heads: Mapping[tuple[bool, ...], Head]
    output: tuple[int, ...]
    facts: dict[str, Any]
    messages: Messages = AS_COMPUTED
    here: Here = field(default_factory=Here)

    def kernels(self) -> Mapping[str, Kernel]:
        """Return what each device computes, see `edgesim.interfaces.Bundled`."""
        return self.here.kernels()

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return the answers of the head for exactly the students that arrived.

        Raises
        ------
        PlanError
            When the answer itself did not arrive at the sink.
        """
        require_delivered(self.required, delivery)
        return self.answers([delivery.are_whole(needed) for needed in self.needs])

    def answers(self, arrived: Sequence[bool]) -> NDArray[np.float32]:
        """Return the answers of the students that arrived."""
        from edgesim.nn.merging.heads import answers_of

        kept: dict[int, NDArray[np.float32]] = {}
        for network, own, is_there in zip(self.network_of, self.features, arrived, strict=True):
            if is_there:
                kept.setdefault(network, own)
        left = tuple(network in kept for network in range(max(self.network_of) + 1))
        answers = answers_of(self.heads[left], [kept[network] for network in sorted(kept)], len(self.features[0]))
        return received_answers(self.plan, self.messages, answers.reshape(-1, *self.output))

    def describe(self) -> dict[str, Any]:
        """Return parameters and weights of each student, sizes of parts, dropped filters, and what the heads take."""
        return self.facts

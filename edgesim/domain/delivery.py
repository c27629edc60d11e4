"""What arrived of the messages of one inference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from edgesim.domain.bounds import whole
from edgesim.errors import PlanError
from edgesim.rng import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Arrived:
    """The packets that arrived of a message, while others were lost.

    The simulation knows how many arrived. An outage takes the last packets, so the first ones arrived. Random losses take any:
    every set of so many packets is equally likely, and for each sample another one is drawn, so that the mean over the samples
    is the mean over the sets too. That is exact where packets are lost independently; losses in bursts are taken as scattered,
    and all losses as random ones where a message may meet both.

    Parameters
    ----------
    name : of the transfer; the stream ``partial/<name>`` draws.
    size_byte : of the message.
    packet_byte : payload of every packet but the last, which has the rest.
    n_arrived : number of packets that arrived, at least 1 and fewer than all.
    is_first : whether they are the first ones.
    seed : the study's seed.
    """

    name: str
    size_byte: int
    packet_byte: int
    n_arrived: int
    is_first: bool
    seed: int

    def __post_init__(self) -> None:
        whole(
            f"message {self.name!r}",
            1,
            size_byte=self.size_byte,
            packet_byte=self.packet_byte,
            n_arrived=self.n_arrived,
        )
        if self.n_arrived >= self.n_packets:
            raise PlanError(
                f"of the {self.n_packets} packets of {self.name!r} {self.n_arrived} arrived; that is the whole message"
            )

    @property
    def n_packets(self) -> int:
        """Number of packets of the whole message.

        Examples
        --------
        >>> Arrived("t", 2500, 1000, 2, is_first=True, seed=1).n_packets  # 1000 + 1000 + 500 byte
        3
        """
        return -(-self.size_byte // self.packet_byte)

    def packets(self, n_samples: int) -> NDArray[np.bool_]:
        """Return which packets arrived for each sample, shape (n_samples, n_packets).

        >>> Arrived("t", 2500, 1000, 2, is_first=True, seed=1).packets(1).tolist()
        [[True, True, False]]
        """
        return _packets(self, n_samples)

    def elements(self, n_samples: int, first_byte: int, n_elements: int, element_byte: int = 4) -> NDArray[np.bool_]:
        """Return which of some elements of the message arrived for each sample, shape (n_samples, n_elements).

        An element that lies in two packets needs both.

        Parameters
        ----------
        n_samples : number of samples.
        first_byte : where the first element begins in the message.
        n_elements, element_byte : number and size of the elements.

        Examples
        --------
        Three elements of 4 byte in packets of 6: the second lies in both packets, of which the first came.

        >>> Arrived("t", 12, 6, 1, is_first=True, seed=1).elements(1, 0, 3).tolist()
        [[True, False, False]]
        """
        import numpy as np

        begins = first_byte + element_byte * np.arange(n_elements)
        packets = self.packets(n_samples)
        return packets[:, begins // self.packet_byte] & packets[:, (begins + element_byte - 1) // self.packet_byte]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrived in time of the messages of one inference: everything, but for what it names.

    Parameters
    ----------
    lost : the transfers of which nothing can be used.
    partial : what arrived of the messages that are not whole, for deployments that use that; see `edgesim.interfaces.PartialDeployment`.
    plan : of a deployment with several plans: which of them the request followed, whose transfers these are; `predict` does not depend on it.

    Raises
    ------
    PlanError
        When a transfer is named twice.

    Examples
    --------
    >>> Delivery().is_whole("a"), Delivery(frozenset("a")).is_whole("a")
    (True, False)
    >>> some = Delivery(frozenset("a"), (Arrived("b", 12, 6, 1, is_first=True, seed=1),))
    >>> sorted(some.incomplete), some.of("b").n_arrived, some.of("c")
    (['a', 'b'], 1, None)
    """

    lost: frozenset[str] = frozenset()
    partial: tuple[Arrived, ...] = ()
    plan: int = 0

    def __post_init__(self) -> None:
        if self.partial and len(self.incomplete) < len(self.lost) + len(self.partial):
            raise PlanError(f"a transfer is lost or came in part, not both or twice: {self}")

    @property
    def incomplete(self) -> frozenset[str]:
        """The transfers that are not whole: lost, or there in part."""
        return self.lost.union(some.name for some in self.partial) if self.partial else self.lost

    def is_whole(self, transfer_id: str) -> bool:
        """Return whether all of a transfer arrived."""
        return transfer_id not in self.incomplete

    def are_whole(self, transfer_ids: Iterable[str]) -> bool:
        """Return whether all of some transfers arrived.

        >>> Delivery(frozenset("a")).are_whole("bc")
        True
        """
        return self.incomplete.isdisjoint(transfer_ids)

    def of(self, transfer_id: str) -> Arrived | None:
        """Return what arrived of a transfer that came in part; None for one that is whole or lost."""
        return next((some for some in self.partial if some.name == transfer_id), None)


@lru_cache(maxsize=64)
def _packets(arrived: Arrived, n_samples: int) -> NDArray[np.bool_]:
    import numpy as np

    shape = (n_samples, arrived.n_packets)
    if arrived.is_first:
        return np.broadcast_to(np.arange(shape[1]) < arrived.n_arrived, shape)
    order = generator(arrived.seed, f"partial/{arrived.name}", arrived.n_arrived).random(shape).argsort(axis=1)
    return order < arrived.n_arrived

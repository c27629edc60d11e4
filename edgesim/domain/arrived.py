"""What arrived of a message that lost some of its packets."""

from __future__ import annotations

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


@lru_cache(maxsize=64)
def _packets(arrived: Arrived, n_samples: int) -> NDArray[np.bool_]:
    import numpy as np

    shape = (n_samples, arrived.n_packets)
    if arrived.is_first:
        return np.broadcast_to(np.arange(shape[1]) < arrived.n_arrived, shape)
    order = generator(arrived.seed, f"partial/{arrived.name}", arrived.n_arrived).random(shape).argsort(axis=1)
    return order < arrived.n_arrived

"""What each student gives: on the input as it was sent, and as it is sent on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgesim.domain.networks.messages import Messages


@dataclass(frozen=True, slots=True)
class SentStudents:
    """Students, where they are, and how their messages are written.

    Parameters
    ----------
    networks : in evaluation mode.
    network_of : which of them each student is a copy of.
    device_ids : of each student.
    source_id, merger_id : where the input is, and where features go; what is there already is not sent.
    messages : how numbers are written.
    """

    networks: Sequence[nn.Module]
    network_of: Sequence[int]
    device_ids: Sequence[str]
    source_id: str
    merger_id: str
    messages: Messages

    def features(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """Return what the merger has of each student, shape (n, features) each.

        Parameters
        ----------
        inputs : of samples, as the source has them.
        """
        from edgesim.nn.train.training import forward

        received = self.messages.received_inputs(inputs)
        given: dict[tuple[int, bool], NDArray[np.float32]] = {}
        found = []
        for network, device_id in zip(self.network_of, self.device_ids, strict=True):
            key = network, received is inputs or device_id == self.source_id
            if key not in given:
                given[key] = forward(self.networks[network], inputs if key[1] else received)
            own = device_id == self.merger_id
            found.append(given[key] if own else self.messages.received(given[key]))
        return found

"""Messages of which some packets arrived, for deployments that use them: how they are written down, and asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.arrived import Arrived
from edgesim.failures.draw import loss_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgesim.engine.program import Hop, Program
    from edgesim.interfaces import Deployment
    from edgesim.study.design import Case


def is_used(deployment: Deployment) -> bool:
    """Return whether a deployment uses messages of which only some packets arrived."""
    return bool(getattr(deployment, "uses_partial", False))


def note(program: Program, case: Case, partial: tuple[tuple[int, float], ...]) -> str:
    """Return what `RequestRecord.partial` says in a form that can be kept: ``"3:2 5:4"``, two packets of transfer 3 and four of 5.

    Behind ``first`` they are the first packets, since nothing but outages loses any.
    """
    if not partial:
        return ""
    counts = []
    for index, share in partial:
        n_packets = _narrowest(program, index).n_packets
        counts.append(f"{index}:{min(max(1, round(share * n_packets)), n_packets - 1)}")
    is_random = any(hasattr(model, "losses") for model in loss_models(case.failures, case.topology).values())
    return " ".join(counts if is_random else ["first", *counts])


def _narrowest(program: Program, transfer: int) -> Hop:
    """Return the link on which a message has most packets."""
    hops = program.hops[program.transfer_index.index(transfer)]
    return max(hops, key=lambda hop: hop.n_packets)


def counts_of(text: str) -> dict[int, int]:
    """Return by transfer how many packets arrived, of a note.

    >>> counts_of("first 3:2 5:4")
    {3: 2, 5: 4}
    """
    pairs = (word.split(":") for word in text.split() if ":" in word)
    return {int(index): int(n) for index, n in pairs}


def joined(lost: int, text: str, n_transfers: int) -> int:
    """Return a pattern of lost transfers and a note as one pattern: the letters stand above the bits of the transfers."""
    return lost | int.from_bytes(text.encode("ascii"), "big") << n_transfers


def arrived_of(program: Program, pattern: int, seed: int) -> Mapping[str, Arrived]:
    """Return by transfer what arrived of messages that are not whole, of a pattern that `joined` made."""
    transfers = program.plan.transfers
    letters = pattern >> len(transfers)
    text = letters.to_bytes(-(-letters.bit_length() // 8), "big").decode("ascii")
    found = {}
    for index, n_arrived in counts_of(text).items():
        step = transfers[index]
        packet_byte = _narrowest(program, index).link.mtu_byte
        is_first = text.startswith("first")
        found[step.step_id] = Arrived(step.step_id, step.size_byte, packet_byte, n_arrived, is_first, seed)
    return found

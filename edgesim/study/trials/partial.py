"""Messages of which some packets arrived, for deployments that use them: how they are written down, and asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.domain.arrived import Arrived
from edgesim.failures.sampling.draw import loss_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgesim.engine.program.compiled import Program
    from edgesim.engine.program.ways import Hop
    from edgesim.interfaces import Deployment
    from edgesim.study.cases.design import Case


def is_used(deployment: Deployment) -> bool:
    """Return whether a deployment uses messages of which only some packets arrived."""
    return bool(getattr(deployment, "uses_partial", False))


def note(program: Program, case: Case, partial: tuple[tuple[int, float], ...]) -> str:
    """Return what `RequestRecord.partial` says in a form that can be kept.

    ``"3:2 5:1-4"`` says that any two packets of transfer 3 arrived, and packets 1 to 4 of transfer 5: the first ones, since no
    packets are lost at random on its way.
    """
    words = []
    for index, share in partial:
        hops = _hops(program, index)
        n_packets = _narrowest(hops).n_packets
        n_arrived = min(max(1, round(share * n_packets)), n_packets - 1)
        words.append(f"{index}:{n_arrived}" if _is_random(case, hops) else f"{index}:1-{n_arrived}")
    return " ".join(words)


def _hops(program: Program, transfer: int) -> Sequence[Hop]:
    return program.steps.hops[program.steps.transfer_index.index(transfer)]


def _narrowest(hops: Sequence[Hop]) -> Hop:
    """Return the link on which a message has most packets."""
    return max(hops, key=lambda hop: hop.n_packets)


def _is_random(case: Case, hops: Sequence[Hop]) -> bool:
    """Return whether a model loses packets of the message at random somewhere."""
    models = [model for model in loss_models(case.failures, case.topology).values() if hasattr(model, "losses")]
    return any(model.applies_to(hop.link) for model in models for hop in hops)


def transfers_of(text: str) -> dict[int, str]:
    """Return by transfer what a note says of it.

    >>> transfers_of("3:2 5:1-4")
    {3: '2', 5: '1-4'}
    """
    pairs = (word.split(":") for word in text.split())
    return {int(index): packets for index, packets in pairs}


def joined(lost: int, text: str, n_transfers: int) -> int:
    """Return a pattern of lost transfers and a note as one pattern: the letters stand above the bits of the transfers."""
    return lost | int.from_bytes(text.encode("ascii"), "big") << n_transfers


def arrived_of(program: Program, pattern: int, seed: int) -> Mapping[str, Arrived]:
    """Return by transfer what arrived of messages that are not whole, of a pattern that `joined` made."""
    transfers = program.plan.transfers
    letters = pattern >> len(transfers)
    text = letters.to_bytes(-(-letters.bit_length() // 8), "big").decode("ascii")
    found = {}
    for index, packets in transfers_of(text).items():
        step = transfers[index]
        packet_byte = _narrowest(_hops(program, index)).link.mtu_byte
        is_first, _, n_arrived = packets.rpartition("-")
        found[step.step_id] = Arrived(step.step_id, step.size_byte, packet_byte, int(n_arrived), bool(is_first), seed)
    return found

"""Everything that the failures of a case can do, where these are few independent outcomes: each with its probability."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgesim.engine.arrays.program import obstacle
from edgesim.failures.sampling.draw import down_of, enumerate_outages, loss_models
from edgesim.interfaces import IndependentLossModel, PacketLossModel, is_kind
from edgesim.network.transport import Datagram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgesim.domain.records import Outage
    from edgesim.engine.program.compiled import Program
    from edgesim.study.cases.design import Case, Prepared

N_MOST = 2**14
"""Most outcomes of a case that are enumerated unless the scenario says otherwise."""

Place = tuple[int, str]
"""Step and link of a message that can be lost there."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All outcomes of a case: every combination of outages, and with each every combination of lost messages.

    Parameters
    ----------
    outages : the combinations of outages, with their probabilities.
    places : messages and links on which they can be lost, each for itself.
    loss_probability : of each place.
    plan : which of the plans of the program is followed.
    share : of the requests, that follow it.

    Examples
    --------
    Nothing random but two messages, lost with 1/4 and 1/2: the second bit of an outcome's number is the second message.

    >>> outcomes = Outcomes([(1.0, ())], ((0, "a->hub"), (1, "b->hub")), (0.25, 0.5))
    >>> outcomes.probability(0, 4).tolist()
    [0.375, 0.125, 0.375, 0.125]
    >>> outcomes.lost_in(2)
    frozenset({(1, 'b->hub')})
    """

    outages: Sequence[tuple[float, Sequence[Outage]]]
    places: tuple[Place, ...]
    loss_probability: tuple[float, ...]
    plan: int = 0
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.outages) << len(self.places)

    def probability(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the probability of some outcomes."""
        index = np.arange(start, stop)
        found: NDArray[np.float64] = np.array([one for one, _ in self.outages], float)[index >> len(self.places)]
        for place, probability in enumerate(self.loss_probability):
            found = found * np.where(index >> place & 1, probability, 1.0 - probability)
        return found if self.share == 1.0 else self.share * found

    def outages_of(self, index: int) -> Sequence[Outage]:
        """Return the outages of one outcome."""
        return self.outages[index >> len(self.places)][1]

    def lost_in(self, index: int) -> frozenset[Place]:
        """Return which messages are lost where in one outcome."""
        return frozenset(place for bit, place in enumerate(self.places) if index >> bit & 1)

    def down(self, start: int, stop: int) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.float64]]]:
        """Return what is down in some outcomes, and until when; see `edgesim.failures.sampling.draw.draw_down`."""
        combination = np.arange(start, stop) >> len(self.places)
        first = int(combination[0])
        down, until_s = down_of([outages for _, outages in self.outages[first : int(combination[-1]) + 1]])
        places = combination - first
        return {name: one[places] for name, one in down.items()}, {name: one[places] for name, one in until_s.items()}

    def lost(self, start: int, stop: int) -> dict[Place, NDArray[np.bool_]]:
        """Return which messages are lost where in some outcomes, shape (stop - start,) each."""
        index = np.arange(start, stop)
        return {place: (index >> bit & 1).astype(np.bool_) for bit, place in enumerate(self.places)}


@dataclass(frozen=True, slots=True)
class OutcomesOfPlans:
    """All outcomes of a case whose requests follow one of several plans: those of the first plan, then those of the second, and so on."""

    plans: tuple[Outcomes, ...]

    def __len__(self) -> int:
        return sum(map(len, self.plans))

    def at(self, index: int) -> tuple[Outcomes, int]:
        """Return among which outcomes of one plan an outcome is, and its position there."""
        for outcomes in self.plans:
            if index < len(outcomes):
                return outcomes, index
            index -= len(outcomes)
        raise IndexError(index)

    def probability(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the probability of some outcomes."""
        return np.concatenate([outcomes.probability(0, len(outcomes)) for outcomes in self.plans])[start:stop]


def outcomes_of_plans(case: Case, prepared: Prepared) -> OutcomesOfPlans | None:
    """Return all outcomes of a case, those of its plans weighed by the samples that follow them; None as of `outcomes_of`."""
    n_left = N_MOST if case.exact_up_to is None else case.exact_up_to
    found: list[Outcomes] = []
    for plan, share in enumerate(prepared.shares):
        about = replace(case, exact_up_to=n_left)
        outcomes = outcomes_of(about, prepared.program, plan, share, is_partial_used=prepared.uses_partial)
        if outcomes is None or len(outcomes) > n_left:
            return None
        found.append(outcomes)
        n_left -= len(outcomes)
    return OutcomesOfPlans(tuple(found))


def outcomes_of(
    case: Case, program: Program, plan: int = 0, share: float = 1.0, *, is_partial_used: bool = False
) -> Outcomes | None:
    """Return all outcomes of requests of a case that follow one plan; None when they are too many, not finitely many, or not independent.

    Parameters
    ----------
    case, program : whose.
    plan, share : which plan of the program, and the share of the requests that follow it.
    is_partial_used : whether it matters how many packets of a lost message arrived.
    """
    if case.load is not None:
        return None  # releases are random too, and requests wait for each other
    n_most = N_MOST if case.exact_up_to is None else case.exact_up_to
    places: dict[Place, float] | None = {}
    if loss_models(case.failures, case.topology):
        places = _places(case, program, plan, is_partial_used=is_partial_used) if not obstacle(program) else None
    if places is None or n_most >> len(places) == 0:
        return None
    outages = enumerate_outages(case.failures, case.topology, n_most >> len(places))
    return None if outages is None else Outcomes(outages, tuple(places), tuple(places.values()), plan, share)


def _places(case: Case, program: Program, plan: int, *, is_partial_used: bool) -> dict[Place, float] | None:
    """Return where messages can be lost, with the probability; None when that depends on more than the message and the link."""
    models = loss_models(case.failures, case.topology).values()
    places: dict[Place, float] = {}
    for index in program.spans[plan].steps:
        hops = program.steps.hops[index]
        for hop in hops:
            here = [model for model in models if model.applies_to(hop.link)]
            if not here:
                continue
            is_simple = hop.link.transport is None or isinstance(hop.link.transport, Datagram)
            if not is_simple or not all(isinstance(model, IndependentLossModel) for model in here):
                return None
            is_whole = hop.n_packets == 1 or (hop is hops[-1] and not is_partial_used)
            if any(is_kind(model, PacketLossModel) for model in here) and not is_whole:
                return None  # what is counted depends on how many packets of a lost message came across
            if (index, hop.link.link_id) in places:
                return None  # a message that crosses a link twice
            kept = 1.0
            for model in here:
                kept *= 1.0 - model.loss_probability(hop.link, hop.n_packets)  # type: ignore[union-attr]
            places[index, hop.link.link_id] = 1.0 - kept
    return places

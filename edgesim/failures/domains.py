"""Failure domains in a tree, such as site, rack, power and device: what fails takes everything below it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from annotated_types import Ge, Le, Len

from edgesim.domain.records import Outage
from edgesim.domain.strike import Strike
from edgesim.domain.system.topology import TargetGlob, Topology
from edgesim.errors import PlanError
from edgesim.failures.sampling.inversion import exponential
from edgesim.failures.sampling.targets import matching
from edgesim.rng import BatchStreams, ReplicationStreams
from edgesim.units import Quantity, Seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a tree of domains.

    Parameters
    ----------
    name : distinct among the domains.
    within : name of the domain that it is in; None: it is a root.
    holds : patterns of what is in it and in none of the domains within it: device ids, link ids where they hold ``->``, names of switches.
    each : whether every one of what it holds is a domain of its own, which fails for itself; no other domain is within such a one.
    """

    name: str
    within: str | None = None
    holds: tuple[TargetGlob, ...] = ()
    each: bool = False


@dataclass(frozen=True, slots=True)
class Domain(Place):
    """A domain that fails for a whole trial.

    Parameters
    ----------
    name, within, holds, each : see `Place`.
    probability : that it fails itself, whatever it is in; by default never: it is there for those within it.
    """

    probability: Annotated[float, Ge(0), Le(1)] = 0.0


@dataclass(frozen=True, slots=True)
class RepairedDomain(Place):
    """A domain that fails and is repaired again and again.

    Parameters
    ----------
    name, within, holds, each : see `Place`.
    mtbf_s : mean time up, in s; None: it never fails itself, and is there for those within it.
    mttr_s : mean time down, in s; given with `mtbf_s`.
    """

    mtbf_s: Annotated[float, Quantity("s", is_minimum_excluded=True)] | None = None
    mttr_s: Seconds | None = None

    def __post_init__(self) -> None:
        if (self.mtbf_s is None) != (self.mttr_s is None):
            raise PlanError(
                f"domain {self.name!r} has one of mtbf and mttr; give both, or none where it never fails itself"
            )


P = TypeVar("P", bound=Place)


@dataclass(frozen=True, slots=True)
class _Cause(Generic[P]):
    """Something that fails by itself: a domain, or one of what it holds where each fails for itself; ``targets``: what goes with it."""

    name: str
    domain: P
    targets: tuple[str, ...]


def _check_tree(domains: Sequence[Place]) -> None:
    """Refuse domains that are no tree, or hold nothing."""
    known = {one.name: one for one in domains}
    if len(known) < len(domains):
        twice = next(one.name for one in domains if sum(one.name == other.name for other in domains) > 1)
        raise PlanError(f"domain {twice!r} is there twice; give each a name of its own")
    for one in domains:
        passed = [one.name]
        while (above := known[passed[-1]].within) is not None:
            if above not in known:
                raise PlanError(
                    f"domain {passed[-1]!r} is within {above!r}, which is no domain; there are {', '.join(known)}"
                )
            if known[above].each:
                raise PlanError(
                    f"domain {passed[-1]!r} is within {above!r}, of which each member is a domain; leave each out there"
                )
            passed.append(above)
            if above == one.name:
                raise PlanError(f"domains are within one another in a circle: {' in '.join(passed)}")
    above_all = {one.within for one in domains}
    empty = next((one.name for one in domains if not one.holds and one.name not in above_all), None)
    if empty is not None:
        raise PlanError(f"domain {empty!r} holds nothing, and none is within it; say in holds what is lost with it")


def _check_targets(topology: Topology, domains: Sequence[Place]) -> None:
    """Refuse patterns that match nothing."""
    for one in domains:
        for pattern in one.holds:
            if not matching(topology, pattern):
                kind = "link" if "->" in pattern else "device or switch"
                raise PlanError(f"domain {one.name!r} holds {pattern!r}, which matches no {kind} of the topology")


def _causes(topology: Topology, domains: Sequence[P]) -> list[_Cause[P]]:
    """Return what can fail, each behind what it is in."""
    own = {one.name: [name for pattern in one.holds for name in matching(topology, pattern)] for one in domains}
    found: list[_Cause[P]] = []
    waiting = [one for one in reversed(domains) if one.within is None]
    while waiting:
        one = waiting.pop()
        if one.each:
            found += [_Cause(f"{one.name}/{name}", one, (name,)) for name in dict.fromkeys(own[one.name])]
            continue
        targets = dict.fromkeys(target for name in _below(domains, one.name) for target in own[name])
        found.append(_Cause(one.name, one, tuple(targets)))
        waiting += [other for other in reversed(domains) if other.within == one.name]
    return found


def _below(domains: Sequence[Place], name: str) -> list[str]:
    """Return the name of a domain and those of all within it."""
    below = [name]
    for above in below:
        below += [other.name for other in domains if other.within == above]
    return below


def _strikes(causes: Sequence[_Cause[P]], used: Collection[str], chances: Sequence[float]) -> list[Strike]:
    """Return for each domain that something fails which a plan uses, given how likely each cause is."""
    kept: dict[str, float] = {}
    for cause, chance in zip(causes, chances, strict=True):
        if not set(used).isdisjoint(cause.targets):
            kept[cause.domain.name] = kept.get(cause.domain.name, 1.0) * (1.0 - chance)
    return [Strike(f"domain {name!r}", 1.0 - up, 1.0 - up) for name, up in kept.items()]


@dataclass(frozen=True, slots=True)
class Domains:
    """Lose whole domains for a trial: a tree, such as site, rack, power and device, in which what fails takes everything below it.

    Each domain fails for itself with its probability, whatever becomes of others; something is lost when it, or any domain that it is in, fails.
    With a device all its links are dead, and with a switch those that it joins; links of other places, such as a cable through
    a building, are named.

    Parameters
    ----------
    domains : the nodes of the tree, or of several trees.

    Formula
    -------
    P(x is up) = product over the domains on its way to the root of (1 - p); P(all of some x are up) = product over the domains on any of
    their ways, each once.

    Validity
    --------
    Failures that last longer than one inference. Domains fail independently of one another, but for what they take with them: a rack whose overheating
    makes its neighbour fail is no such tree.

    References
    ----------
    D. Ford et al., Availability in Globally Distributed Storage Systems, OSDI 2010 (failure domains: nodes, racks, power, network; bursts of failures in
    them). R. E. Barlow, F. Proschan, Statistical Theory of Reliability and Life Testing, 1975, chapters 1 and 2 (series systems).
    """

    domains: Annotated[tuple[Domain, ...], Len(1)]

    def __post_init__(self) -> None:
        _check_tree(self.domains)

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a domain holds what the topology does not have."""
        _check_targets(topology, self.domains)

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:  # noqa: ARG002 - the seam's form
        """Return for each domain that it, or any of what fails for itself in it, takes something that is used."""
        causes = _causes(topology, self.domains)
        return _strikes(causes, used, [cause.domain.probability for cause in causes])

    def outages(self, topology: Topology, streams: ReplicationStreams) -> Sequence[Outage]:
        """Draw what is lost in one replication."""
        lost: dict[str, None] = {}
        for cause in _causes(topology, self.domains):
            if streams(f"domain/{cause.name}").uniform() < cause.domain.probability:
                lost.update(dict.fromkeys(cause.targets))
        return [Outage(name, cause="domains") for name in lost]

    def are_down(self, topology: Topology, streams: BatchStreams) -> Mapping[str, NDArray[np.bool_]]:
        """Draw what is lost in many replications."""
        import numpy as np

        everyone = np.ones(streams.n, dtype=np.bool_)
        down: dict[str, NDArray[np.bool_]] = {}
        for cause in _causes(topology, self.domains):
            has_failed = streams(f"domain/{cause.name}").uniforms(everyone) < cause.domain.probability
            for name in cause.targets:
                down[name] = down[name] | has_failed if name in down else has_failed
        return down

    def outcomes(self, topology: Topology) -> Iterable[tuple[float, Sequence[Outage]]]:
        """Yield which domains fail, with their probability; of domains within one that fails nothing more is asked.

        Examples
        --------
        A rack in which each of two devices fails, too: all of it, or each subset.

        >>> from edgesim.domain.system.topology import Device, DeviceProfile, Topology
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> topology = Topology((Device("w1", profile), Device("w2", profile)))
        >>> tree = (Domain("rack", probability=0.5), Domain("board", "rack", ("w*",), each=True, probability=0.5))
        >>> [(p, [outage.target_id for outage in lost]) for p, lost in Domains(tree).outcomes(topology)]
        [(0.5, ['w1', 'w2']), (0.125, ['w1', 'w2']), (0.125, ['w1']), (0.125, ['w2']), (0.125, [])]
        """
        causes = [cause for cause in _causes(topology, self.domains) if cause.domain.probability > 0]
        ends = []  # where those within it end
        for position, cause in enumerate(causes):
            below = () if cause.domain.each else _below(self.domains, cause.domain.name)
            ends.append(position + max(1, sum(other.domain.name in below for other in causes)))
        waiting: list[tuple[int, float, tuple[str, ...]]] = [(0, 1.0, ())]
        while waiting:
            position, probability, lost = waiting.pop()
            if position == len(causes):
                yield probability, [Outage(name, cause="domains") for name in dict.fromkeys(lost)]
                continue
            cause, chance = causes[position], causes[position].domain.probability
            if chance < 1:
                waiting.append((position + 1, probability * (1 - chance), lost))
            waiting.append((ends[position], probability * chance, lost + cause.targets))


@dataclass(frozen=True, slots=True)
class RepairedDomains:
    """Let whole domains fail and be repaired again and again: a tree as of ``domains``, with times in place of probabilities.

    Each domain is up for an exponential time with mean MTBF and down for one with mean MTTR, for itself; something is down while it, or any
    domain that it is in, is.

    Parameters
    ----------
    domains : the nodes of the tree, or of several trees.

    Formula
    -------
    P(x is up at any moment) = product over the domains on its way to the root of MTBF / (MTBF + MTTR).

    Validity
    --------
    As ``on-off`` and ``domains``: no ageing, repairs of a domain do not wait for that of another.

    References
    ----------
    S. M. Ross, Introduction to Probability Models, 10th ed., Academic Press, 2010, section 7.5.1 (alternating renewal). D. Ford et al., Availability in
    Globally Distributed Storage Systems, OSDI 2010 (failure domains).
    """

    domains: Annotated[tuple[RepairedDomain, ...], Len(1)]

    def __post_init__(self) -> None:
        _check_tree(self.domains)

    def check(self, topology: Topology) -> None:
        """Raise `PlanError` when a domain holds what the topology does not have."""
        _check_targets(topology, self.domains)

    def strikes(self, topology: Topology, used: Collection[str], duration_s: float) -> Sequence[Strike]:
        """Return for each domain that it is down at some moment of the trial, as `OnOff.strikes`."""
        causes = _causes(topology, self.domains)
        return _strikes(causes, used, [_down_in(cause.domain, duration_s) for cause in causes])

    def renewals(self, topology: Topology, streams: ReplicationStreams) -> Mapping[str, Iterator[Outage]]:
        """Return the outages of each target in one replication, without end."""
        times: dict[str, list[_Times]] = {}
        for cause in _causes(topology, self.domains):
            if cause.domain.mtbf_s is not None and cause.domain.mttr_s is not None:
                own = _Times(cause.domain.mtbf_s, cause.domain.mttr_s, streams, f"domain/{cause.name}")
                for name in cause.targets:
                    times.setdefault(name, []).append(own)
        return {name: _joined(name, of) for name, of in times.items()}


def _down_in(domain: RepairedDomain, duration_s: float) -> float:
    if domain.mtbf_s is None or domain.mttr_s is None:
        return 0.0
    return 1.0 - domain.mtbf_s / (domain.mtbf_s + domain.mttr_s) * exp(-duration_s / domain.mtbf_s)


class _Times:
    """When one domain is down, drawn once as far as any of its targets asks."""

    __slots__ = ("_draws", "_known", "_mtbf_s", "_mttr_s")

    def __init__(self, mtbf_s: float, mttr_s: float, streams: ReplicationStreams, name: str) -> None:
        self._draws = streams(name)
        self._mtbf_s, self._mttr_s = mtbf_s, mttr_s
        self._known: list[tuple[float, float]] = []

    def at(self, number: int) -> tuple[float, float]:
        """Return when an outage begins and ends."""
        while len(self._known) <= number:
            before_s = self._known[-1][1] if self._known else 0.0
            is_down = not self._known and self._draws.uniform() * (self._mtbf_s + self._mttr_s) < self._mttr_s
            down_s = before_s if is_down else before_s + exponential(self._draws.uniform(), self._mtbf_s)
            self._known.append((down_s, down_s + exponential(self._draws.uniform(), self._mttr_s)))
        return self._known[number]


def _joined(name: str, times: Sequence[_Times]) -> Iterator[Outage]:
    """Yield the outages of a target that is down while any of its domains is."""
    numbers = [0] * len(times)
    down_s = up_s = -inf
    while True:
        waiting = [own.at(number) for own, number in zip(times, numbers, strict=True)]
        first = min(range(len(times)), key=waiting.__getitem__)
        begin_s, end_s = waiting[first]
        numbers[first] += 1
        if begin_s <= up_s:
            up_s = max(up_s, end_s)
            continue
        if up_s > -inf:
            yield Outage(name, down_s, up_s, "domains")
        down_s, up_s = begin_s, end_s

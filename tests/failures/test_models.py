"""The failure models against their formulas; each statistical test would fail with a parameter that is 5 % off."""

from __future__ import annotations

from itertools import pairwise
from math import comb, exp, inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.sampling.draw import draw_outages, draw_renewals, enumerate_outages, loss_models, slowdown_models
from edgesim.failures.sampling.inversion import binomial, geometric
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.stragglers import LogNormal, ShiftedExponential
from edgesim.rng import ReplicationStreams, Streams

PROFILE = DeviceProfile("test", {"conv": 1.0}, 1.0, 0.0, 1, 1.0, 1.0, 1.0, 1.0, "assumed")
LINK = Link("w0->hub", "w0", "hub", 1e6)
DEVICE = Device("w0", PROFILE)


def topology(n: int) -> Topology:
    ids = ["hub", *(f"w{i}" for i in range(n))]
    links = tuple(Link(f"{name}->hub", name, "hub", 1e6) for name in ids[1:])
    return Topology(tuple(Device(name, PROFILE) for name in ids), links)


def replications(n: int, seed: int = 7) -> list[ReplicationStreams]:
    return list(map(Streams(seed).replication, range(n)))


def is_near(values: list[float], expected: float, error: float = 0.05) -> bool:
    """Whether the mean is within 3 standard errors of what is expected, and these are less than half of `error`."""
    n = len(values)
    mean = sum(values) / n
    spread = sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    assert 3 * spread < error / 2 * expected * 1.01, f"no power: {3 * spread / expected:.3f} of the mean"
    return abs(mean - expected) < 3 * spread


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 60), st.floats(0.001, 0.999))
def test_binomial_by_inversion(uniform: float, n: int, p: float) -> None:
    """The number k of successes has P(X < k) <= u < P(X <= k), with sums of the probabilities themselves."""
    k = binomial(uniform, n, p)
    below = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k))
    here = comb(n, k) * p**k * (1 - p) ** (n - k)
    assert below <= uniform + 1e-9
    assert uniform <= below + here + 1e-9


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 10**6))
def test_binomial_grows_with_the_probability(uniform: float, n: int) -> None:
    """The same uniform with a larger loss loses at least as much; 0 and 1 are exact."""
    lost = [binomial(uniform, n, p) for p in (0.0, 1e-6, 0.01, 0.3, 0.9, 1.0)]
    assert lost[0] == 0
    assert lost[-1] == n
    assert all(few <= many for few, many in pairwise(lost))


def test_geometric_has_its_mean() -> None:
    """Mean 1 / p, never below 1; p = 0 never happens and p = 1 always."""
    values = [geometric((i + 0.5) / 10_000, 0.25) for i in range(10_000)]
    assert min(values) == 1
    assert sum(values) / len(values) == pytest.approx(4, rel=0.002)
    assert (geometric(0.5, 0.0), geometric(0.5, 1.0)) == (inf, 1)


def test_packet_losses_have_their_rate() -> None:
    """68 packets at p = 0.05: 3.4 lost in the mean, and (1 - p)^68 of the messages whole."""
    model = PacketBernoulli(0.05)
    lost = [model.losses(LINK, streams).n_lost(68) for streams in replications(4_000)]
    assert is_near([float(n) for n in lost], 3.4)
    whole = 0.95**68
    assert abs(lost.count(0) / 4_000 - whole) < 3 * sqrt(whole * (1 - whole) / 4_000)


@pytest.mark.parametrize(("h", "k"), [(1.0, 0.0), (0.8, 0.01)])
def test_gilbert_elliott_loses_its_share_from_the_first_packet(h: float, k: float) -> None:
    """Loss = (p h + r k) / (p + r), with one packet per replication: the start is stationary."""
    model = GilbertElliott(to_bad=0.05, to_good=0.2, loss_in_bad=h, loss_in_good=k)
    lost = [float(model.losses(LINK, streams).n_lost(1)) for streams in replications(60_000)]
    assert is_near(lost, (0.05 * h + 0.2 * k) / 0.25, error=0.08)


def test_gilbert_elliott_bursts_have_their_length() -> None:
    """With h = 1 and k = 0 a run of lost packets lasts 1 / r packets, whether packets come one by one or in messages."""
    model = GilbertElliott(to_bad=0.02, to_good=0.25)
    bursts: list[float] = []
    for streams in replications(60):
        process = model.losses(LINK, streams)
        lost = [process.n_lost(1) for _ in range(4_000)]
        text = "".join(map(str, lost)).strip("1")  # cut runs at the ends are shorter
        bursts += [float(len(run)) for run in text.split("0") if run]
    assert is_near(bursts, 4.0, error=0.08)
    n_single = sum(model.losses(LINK, streams).n_lost(1_000) for streams in replications(300))
    n_apart = 0
    for streams in replications(300):
        process = model.losses(LINK, streams)
        n_apart += sum(process.n_lost(1) for _ in range(1_000))
    assert n_single == n_apart


def test_gilbert_elliott_needs_a_stationary_state() -> None:
    """p = r = 0 stays where it starts, which nobody said."""
    with pytest.raises(PlanError, match="no stationary state"):
        GilbertElliott(0.0, 0.0)


@given(st.floats(0.0, 0.99), st.floats(1.0, 50.0))
def test_loss_and_burst_are_those_of_the_chain(loss: float, burst: float) -> None:
    """The chain's stationary share of bad packets is the loss, and a bad period lasts 1 / r packets; others are refused."""
    if loss / (1 - loss) > burst:
        with pytest.raises(PlanError, match="at least lies between"):
            GilbertElliott(loss=loss, burst=burst)
        return
    to_bad, to_good = GilbertElliott(loss=loss, burst=burst).chain
    assert to_bad <= 1.0 + 1e-12
    assert to_bad / (to_bad + to_good) == pytest.approx(loss, rel=1e-12, abs=1e-300)
    assert 1 / to_good == pytest.approx(burst, rel=1e-12)


def test_loss_and_burst_draw_what_the_probabilities_draw() -> None:
    """Both forms are the same model: 2 % in bursts of 4 packets is p = 0.25 x 0.02 / 0.98, r = 0.25."""
    models = GilbertElliott(loss=0.02, burst=4.0), GilbertElliott(0.02 / (4.0 * 0.98), 0.25)
    drawn = [[model.losses(LINK, streams).n_lost(1000) for streams in replications(20)] for model in models]
    assert drawn[0] == drawn[1]
    assert sum(drawn[0]) > 0


@pytest.mark.parametrize(
    "options",
    [
        {}, {"loss": 0.1}, {"burst": 2.0}, {"to_bad": 0.1}, {"to_bad": 0.1, "to_good": 0.5, "loss": 0.1},
        {"to_bad": 0.1, "to_good": 0.5, "loss": 0.1, "burst": 2.0}, {"loss": 0.1, "burst": 2.0, "loss_in_bad": 0.5},
    ],
)  # fmt: skip
def test_one_form_of_the_chain_is_given(options: dict[str, float]) -> None:
    """Either the probabilities or what the chain does, not both, and not half of one."""
    with pytest.raises(PlanError, match="gilbert-elliott"):
        GilbertElliott(**options)


def test_on_off_is_down_for_its_share_at_any_moment() -> None:
    """Availability MTBF / (MTBF + MTTR) at time 0 and at any other; mean durations MTBF and MTTR."""
    model = OnOff(mtbf_s=8.0, mttr_s=2.0, targets="w*")
    n_down = dict.fromkeys((0.0, 3.0, 50.0), 0)
    downs: list[float] = []
    ups: list[float] = []
    for streams in replications(8_000):
        outages = []
        for outage in model.renewals(topology(1), streams)["w0"]:
            outages.append(outage)
            if outage.start_s > 60.0:
                break
        for moment_s in n_down:
            n_down[moment_s] += any(outage.start_s <= moment_s < outage.end_s for outage in outages)
        downs += [outage.end_s - outage.start_s for outage in outages[1:4]]
        ups += [after.start_s - before.end_s for before, after in pairwise(outages[:4])]
    for n in n_down.values():
        assert abs(n / 8_000 - 0.2) < 3 * sqrt(0.2 * 0.8 / 8_000) < 0.07 * 0.2
    assert is_near(downs, 2.0)
    assert is_near(ups, 8.0)


def test_on_off_takes_links_and_draws_as_it_is_asked() -> None:
    """A pattern with an arrow selects links; the order in which targets are asked does not matter."""
    first = OnOff(1.0, 1.0, "w*->hub").renewals(topology(2), Streams(1).replication(0))
    second = OnOff(1.0, 1.0, "w*->hub").renewals(topology(2), Streams(1).replication(0))
    assert list(first) == ["w0->hub", "w1->hub"]
    backwards = [next(second["w1->hub"]), next(second["w0->hub"])][::-1]
    assert [next(first["w0->hub"]), next(first["w1->hub"])] == backwards


def test_common_cause_takes_all_or_one() -> None:
    """P(member lost) = 1 - (1 - beta p)(1 - (1 - beta) p); all outcomes sum to 1 and agree with it."""
    model = CommonCause(probability=0.2, beta=0.5, targets="w*")
    outcomes = list(model.outcomes(topology(4)))
    expected = 1 - 0.9 * 0.9
    assert sum(probability for probability, _ in outcomes) == pytest.approx(1)
    marginal = sum(probability for probability, outages in outcomes if any(o.target_id == "w2" for o in outages))
    assert marginal == pytest.approx(expected)
    drawn = [draw_outages({"ap": model}, topology(4), streams) for streams in replications(30_000)]
    assert is_near([float(any(o.target_id == "w2" for o in outages)) for outages in drawn], expected, error=0.08)
    all_lost = 0.1 + 0.9 * 0.1**4
    assert is_near([float(len(outages) == 4) for outages in drawn], all_lost, error=0.11)


def test_k_of_n_with_independent_failures() -> None:
    """beta = 0: at least 3 of 4 are up with probability 4 a^3 (1 - a) + a^4, a = 0.9; exactly, from the outcomes."""
    outcomes = CommonCause(0.1, beta=0.0, targets="w*").outcomes(topology(4))
    probability = sum(weight for weight, outages in outcomes if len(outages) <= 1)
    assert probability == pytest.approx(4 * 0.9**3 * 0.1 + 0.9**4)


def test_scripted_outages_are_what_was_written() -> None:
    """Patterns are spread out, no end means for ever, and a pattern that finds nothing is refused."""
    model = Scripted((ScriptedOutage("w*", 1.0, 2.0), ScriptedOutage("w1->hub")))
    outages = draw_outages({"s": model}, topology(2), replications(1)[0])
    assert [(o.target_id, o.start_s, o.end_s) for o in outages] == [
        ("w0", 1.0, 2.0), ("w1", 1.0, 2.0), ("w1->hub", 0.0, inf)
    ]  # fmt: skip
    with pytest.raises(PlanError, match="'x'"):
        Scripted((ScriptedOutage("x"),)).check(topology(2))
    with pytest.raises(PlanError, match="before it starts"):
        ScriptedOutage("w*", 2.0, 1.0)


def test_exactly_k_takes_links_too() -> None:
    """A pattern with an arrow selects links."""
    outages = draw_outages({"k": ExactlyK(2, "w*->hub")}, topology(3), replications(1)[0])
    assert len({outage.target_id for outage in outages}) == 2
    assert all("->hub" in outage.target_id for outage in outages)


@pytest.mark.parametrize(
    ("model", "mean"),
    [
        (ShiftedExponential(mu=2.0), 1.5),
        (ShiftedExponential(mu=1.0, shift=0.0), 1.0),
        (LogNormal(sigma=0.5), exp(0.125)),
        (LogNormal(sigma=0.0, median=2.0), 2.0),
    ],
)
def test_stragglers_have_their_mean(model: ShiftedExponential | LogNormal, mean: float) -> None:
    """s + 1 / mu, and median exp(sigma^2 / 2)."""
    factors = [model.factor(DEVICE, streams) for streams in replications(20_000)]
    if min(factors) == max(factors):
        assert factors[0] == mean
    else:
        assert is_near(factors, mean)


def test_last_of_n_stragglers() -> None:
    """E max of n shifted exponentials = 1 + H_n / mu; n = 4, mu = 2: 1 + (25/12)/2."""
    model = ShiftedExponential(mu=2.0)
    devices = [Device(f"w{i}", PROFILE) for i in range(4)]
    last = [max(model.factor(device, streams) for device in devices) for streams in replications(20_000)]
    assert is_near(last, 1 + 25 / 24)


def test_models_are_sorted_by_what_they_do() -> None:
    """Losses that apply nowhere are dropped; what is random besides outages and losses cannot be enumerated."""
    failures: dict[str, object] = {
        "none": PacketBernoulli(0.0), "loss": PacketBernoulli(0.1), "off": OnOff(1.0, 1.0), "slow": LogNormal(0.1)
    }  # fmt: skip
    assert list(loss_models(failures, topology(1))) == ["loss"]  # type: ignore[arg-type]
    assert list(slowdown_models(failures, topology(1))) == ["slow"]  # type: ignore[arg-type]
    assert [list(sources) for sources in draw_renewals(failures, topology(1), replications(1)[0])] == [["hub", "w0"]]  # type: ignore[arg-type]
    for label in ("off", "slow"):
        assert enumerate_outages({label: failures[label]}, topology(1), 100) is None  # type: ignore[dict-item]


def test_more_loss_loses_more_in_the_same_replication() -> None:
    """Common random numbers: over 200 replications a higher rate never loses less, message by message."""
    for few, many in zip(replications(200), replications(200), strict=True):
        n_few = PacketBernoulli(0.1).losses(LINK, few).n_lost(50)
        assert n_few <= PacketBernoulli(0.2).losses(LINK, many).n_lost(50)

"""Groups of queries: a learned parity (ParM) and Berrut's interpolation (ApproxIFER)."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from edgesim.compute.roofline import Roofline
from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.training import Training
from edgesim.domain.records import Outage
from edgesim.engine.events.simulation import simulate
from edgesim.engine.program.compiled import compile_plan
from edgesim.errors import PlanError
from edgesim.nn.train.training import forward
from edgesim.strategies.queries.approxifer import ApproxIFER
from edgesim.strategies.queries.codes import BerrutCode, SumOfQueries
from edgesim.strategies.queries.groups import in_groups
from edgesim.strategies.queries.parm import ParM
from edgesim.testing import check_strategy, deployment_context
from tests.strategies.conftest import star

PARM = ParM("w4", "w*", "hub", 0.5, Training(epochs=6))
BERRUT = ApproxIFER(3, "w*", "hub", 0.5)


@pytest.fixture(scope="module")
def context(teacher, teacher_model, digits):
    """A hub with the queries and four workers."""
    return deployment_context(
        teacher.network, digits, star([1.0] * 4), source_id="hub", sink_id="hub",
        filter_layer=teacher_model.filter_layer(), network_key=teacher.key, seed=1,
    )  # fmt: skip


def lost(deployment, *numbers: int) -> Delivery:
    """Without the results of some devices, by number."""
    return Delivery(frozenset(name for number in numbers for name in deployment.needs[number] if "result" in name))


def test_they_conform(context):
    """ParM is exact with nothing lost, ApproxIFER approximate."""
    check_strategy(PARM, context)
    check_strategy(BERRUT, context, is_exact=False)
    check_strategy(replace(BERRUT, deadline_s=None), context, is_exact=False)


def test_one_request_is_a_group_of_queries(context):
    """Three queries: four inputs of 256 byte, four answers of 40 byte; all but one result are enough, whichever is missing."""
    for strategy in (PARM, BERRUT):
        plan = strategy.deploy(context).plan
        assert sorted(t.size_byte for t in plan.transfers) == [40] * 4 + [256] * 4
        program = compile_plan(plan, context.topology, Roofline())
        usual_s = simulate(program)[0].latency_s
        assert simulate(program, outages=[Outage("w2")])[0].latency_s == pytest.approx(usual_s, rel=1e-3)
        assert simulate(program, outages=[Outage("w2"), Outage("w3")])[0].latency_s == pytest.approx(0.5, rel=0.01)
    elsewhere = replace(context, sink_id="w1")
    assert PARM.deploy(elsewhere).plan.steps[-2].size_byte == 3 * 40


def test_a_lost_query_is_the_parity_less_the_others(context):
    """By hand from the networks: with the second result lost, others exact; a sum that is lost too leaves zeros."""
    deployment = PARM.deploy(context)
    exact = forward(context.network, context.dataset.test.inputs)
    n = len(exact)
    found = deployment.predict(lost(deployment, 1))
    second = np.arange(n) % 3 == 1
    assert np.array_equal(found[~second], exact[~second])
    groups = in_groups(n, 3)
    by_hand = deployment.results[3] - exact[groups[:, 0]] - exact[groups[:, 2]]
    assert np.allclose(found[second], by_hand[: second.sum()], atol=1e-4)
    assert not deployment.predict(lost(deployment, 1, 3))[second].any()
    right = context.dataset.task.scores[0].of(found[second], context.dataset.test.targets[second])
    assert right > 0.3  # of a few epochs; guessing has 0.1
    assert deployment.describe()["validation_accuracy_with_a_worker_lost"] > 0.7


def test_a_linear_network_loses_nothing(make_context, make_noise):
    """The parity of a linear network without bias is the network itself: the loss is 0 from the start, and decoding is exact."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False))
    context = make_context((1.0, 1.0, 1.0), network=network, dataset=make_noise((1, 8, 8)))
    exact = forward(network, context.dataset.test.inputs)
    deployment = ParM("w3", "w*", training=Training(epochs=1, learning_rate=1e-7)).deploy(context)
    assert np.array_equal(deployment.predict(Delivery()), exact)
    assert np.allclose(deployment.predict(lost(deployment, 0)), exact, atol=1e-4)


def test_berrut_is_its_formula():
    """Both sums term by term, for several sizes and sets of results that arrived."""
    for k, n, gone in ((1, 2, ()), (2, 3, (1,)), (3, 5, (0, 3)), (4, 7, (2,)), (5, 6, ())):
        code = BerrutCode(k, n)
        alpha = [np.cos((2 * j + 1) * np.pi / (2 * k)) for j in range(k)]
        beta = [np.cos(i * np.pi / (n - 1)) for i in range(n)]
        there = [i for i in range(n) if i not in gone]
        values = np.random.default_rng(k).standard_normal((n, 2))
        queries = np.random.default_rng(n).standard_normal((k, 2))

        def rational(z, nodes, of):
            for node, value in zip(nodes, of, strict=True):
                if abs(z - node) < 1e-12:
                    return value
            terms = [(-1) ** place / (z - node) for place, node in enumerate(nodes)]
            return sum(t * value for t, value in zip(terms, of, strict=True)) / sum(terms)

        asked = [rational(z, alpha, queries) for z in beta]
        assert np.allclose(code.encoding() @ queries, asked, atol=1e-10)
        answers = [rational(z, [beta[i] for i in there], values[there]) for z in alpha]
        found = code.decoding([i in there for i in range(n)]) @ values
        assert np.allclose(found, answers, atol=1e-10)


def test_berrut_has_no_pole_whatever_is_lost():
    """The signs alternate over what arrived: no weight is large, for each loss of one or two devices."""
    for k, n in product(range(1, 6), range(4, 10)):
        for gone in [*combinations(range(n), 1), *combinations(range(n), 2)]:
            weights = BerrutCode(k, n).decoding([i not in gone for i in range(n)])
            assert np.abs(weights).max() < 4
            assert np.allclose(weights.sum(axis=1), 1)


def test_berrut_converges_for_linear_networks():
    """With f(x) = x the interpolated queries come nearer with more devices, as Berrut's interpolant of a smooth curve does."""
    queries = np.random.default_rng(1).standard_normal((3, 4))

    def error(n: int) -> float:
        code = BerrutCode(3, n)
        return float(np.abs(code.decoding([True] * n) @ code.encoding() @ queries - queries).max())

    errors = [error(n) for n in (10, 40, 160)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_sums_say_nothing_of_two_that_are_lost():
    """And nothing without the sum."""
    code = SumOfQueries(3)
    assert code.decoding([False, False, True, True])[:2].any() is np.False_
    assert code.decoding([False, True, True, False])[0].any() is np.False_


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (ParM("w1", "w1"), "matches 0 devices but the parity"),
        (ParM("w9", "w*"), "no device 'w9'"),
        (ApproxIFER(4, "w*"), "4 queries need more devices"),
    ],
)
def test_what_makes_no_group_is_refused(context, strategy, message):
    """Each with what is wrong."""
    with pytest.raises(PlanError, match=message):
        strategy.deploy(context)


def test_tokens_are_not_added_up(context):
    """Whole numbers name something."""
    rows = Samples({"tokens": np.zeros((4, 8), np.int64)}, np.zeros(4, np.int64))
    tokens = Dataset("tokens", rows, rows, rows, context.dataset.task, "none", "none")
    with pytest.raises(PlanError, match="holds whole numbers"):
        BERRUT.deploy(replace(context, dataset=tokens))

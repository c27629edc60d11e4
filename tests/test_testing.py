"""The conformance checks find what is wrong, and say so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.plan import Compute, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.failures.bernoulli import Bernoulli
from edgesim.failures.common_cause import CommonCause
from edgesim.failures.domains import Domain, Domains, RepairedDomain, RepairedDomains
from edgesim.failures.exactly_k import ExactlyK
from edgesim.failures.gilbert_elliott import GilbertElliott
from edgesim.failures.on_off import OnOff
from edgesim.failures.packet_loss import PacketBernoulli
from edgesim.failures.scripted import Scripted, ScriptedOutage
from edgesim.failures.stragglers import LogNormal, ShiftedExponential
from edgesim.network.rates import RateStep, Steps
from edgesim.nn.train.training import forward
from edgesim.registry import RATES, TASKS
from edgesim.tasks.classification import Classification
from edgesim.tasks.dense_classification import DenseClassification
from edgesim.tasks.detection import Detection
from edgesim.tasks.multi_label import MultiLabel
from edgesim.tasks.next_character import NextCharacter
from edgesim.tasks.regression import Regression
from edgesim.tasks.stroke_segmentation import StrokeSegmentation
from edgesim.testing import check_failure_model, check_rates, check_strategy, check_task, deployment_context

PROFILE = DeviceProfile(
    "p", dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9), 1e9, 0, 1, 0, 0, 0, 0, "assumed"
)
TOPOLOGY = Topology((Device("a", PROFILE), Device("b", PROFILE)), (Link("a->b", "a", "b", 1e6),))
PLAN = Plan(
    (Compute("c", "a"), Transfer("t", "a", "b", 12, "logits", "result", ("c",)), Compute("d", "b", (), ("t",))), "d", {}
)


@dataclass
class Answering:
    """A deployment that gives fixed answers."""

    plan: Plan
    whole: np.ndarray
    rest: np.ndarray
    description: object = None

    def predict(self, delivery):
        return self.whole if delivery == Delivery() else self.rest

    def describe(self):
        return {"about": self.description}


@dataclass
class Forgetful(Answering):
    """One whose answer depends on how often it was asked."""

    n_asked: int = 0

    def predict(self, delivery):
        self.n_asked += 1
        return self.whole + np.float32(self.n_asked > 1)


@dataclass
class Historical(Answering):
    """One whose answer to a loss depends on whether it was asked for the whole before."""

    has_answered: bool = False

    def predict(self, delivery):
        self.has_answered |= delivery == Delivery()
        return self.whole + np.float32(delivery != Delivery() and self.has_answered)

    def __getstate__(self):
        return {**self.__dict__, "has_answered": False}


@dataclass
class Partly(Answering):
    """One that uses what arrived in part: it adds `more` to what it answers then."""

    more: float = 0.0
    uses_partial = True

    def predict(self, delivery):
        return super().predict(delivery) + np.float32(self.more if delivery.partial else 0.0)


@dataclass
class Fixed:
    """A strategy that gives a fixed deployment."""

    deployment: object

    def deploy(self, context):
        return self.deployment


@pytest.fixture(scope="module")
def context():
    rng = np.random.default_rng(0)
    split = Samples({"images": rng.standard_normal((5, 1, 2, 2)).astype(np.float32)}, np.arange(5) % 3)
    dataset = Dataset("noise", split, split, split, Classification(3), "none", "drawn")
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    return deployment_context(network, dataset, TOPOLOGY, source_id="a", sink_id="b")


@pytest.fixture
def right(context):
    answer = forward(context.network, context.dataset.test.inputs)
    return Answering(PLAN, answer, np.zeros_like(answer))


def test_a_right_strategy_passes(context, right):
    """Nothing is raised and nothing returned."""
    assert check_strategy(Fixed(right), context) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan": replace(PLAN, steps=(Compute("d", "z"),), answer_id="d")}, "devices that the topology does not have: z"),
        ({"plan": Plan((Compute("c", "b"), Transfer("t", "b", "a", 1, "x", "result", ("c",)), Compute("d", "a", (), ("t",))), "d", {})}, "cannot be sent"),
        ({"plan": "no plan"}, "must be a Plan"),
        ({"whole": np.zeros((5, 3))}, "float64 of shape"),
        ({"whole": np.zeros((5, 2), np.float32)}, r"must give float32 of shape \(5, 3\)"),
        ({"whole": np.ones((5, 3), np.float32)}, "differ from the network's by"),
        ({"rest": np.full((5, 3), np.nan, np.float32)}, "with t lost, predict gave answers that are not finite"),
        ({"description": {1, 2}}, "JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(context, right, change, message):
    """Each broken promise has its own text."""
    if change.get("plan") == "no plan":
        right.plan = None
    else:
        right = replace(right, **change)
    with pytest.raises(AssertionError, match=message):
        check_strategy(Fixed(right), context)


def test_an_answer_that_changes_is_found(context, right):
    """Asked twice, answered differently."""
    forgetful = Forgetful(PLAN, right.whole, right.rest)
    with pytest.raises(AssertionError, match="answers differently each time"):
        check_strategy(Fixed(forgetful), context)


def test_an_answer_that_depends_on_history_is_found(context, right):
    """What was asked before must not matter."""
    with pytest.raises(AssertionError, match="asked in another order"):
        check_strategy(Fixed(Historical(PLAN, right.whole, right.rest)), context)


def test_answers_to_parts_of_messages_are_checked(context, right):
    """With a part another answer is right, but never one that is no number."""
    check_strategy(Fixed(Partly(PLAN, right.whole, right.rest, more=1.0)), context)
    with pytest.raises(
        AssertionError, match="with nothing lost and 1 of 2 packets of t, predict gave answers that are"
    ):
        check_strategy(Fixed(Partly(PLAN, right.whole, right.rest, more=np.nan)), context)


@dataclass
class Sorted(Answering):
    """One whose first sample is known at once, while the others are asked about; `rule` says what is answered without the message."""

    rule: str = "guess"
    plans: tuple = (Plan((Compute("d", "b"),), "d", {}), PLAN)
    plan_of_sample: tuple = (0, 1, 1, 1, 1)

    def predict(self, delivery):
        if delivery.is_whole("t") or (self.rule == "depends" and delivery.plan):
            return self.whole
        if self.rule == "raises":
            raise PlanError("nothing without t")
        answers = np.zeros_like(self.whole)
        answers[0] = self.whole[0] + (self.rule == "changes")
        return answers


def test_a_loss_is_felt_by_the_samples_whose_plan_has_it(context, right):
    """Whichever plan the request followed; and there is an answer as long as some sample has one."""
    made = Sorted(Sorted.plans[0], right.whole, right.rest)
    check_strategy(Fixed(made), context)
    for rule, text in (
        ("raises", "with t lost, predict raised PlanError, though 1 samples follow plans without them"),
        ("changes", "with t lost, the answers change of samples whose plans have none of them"),
        ("depends", "with t lost, predict depends on the plan of the request"),
    ):
        with pytest.raises(AssertionError, match=text):
            check_strategy(Fixed(replace(made, rule=rule)), context)


def test_students_need_not_equal_the_network(context, right):
    """With `is_exact=False` only chance must be reached."""
    labels = np.eye(3, dtype=np.float32)[context.dataset.test.targets]
    check_strategy(Fixed(replace(right, whole=labels)), context, is_exact=False)
    with pytest.raises(AssertionError, match="worse than guessing"):
        check_strategy(Fixed(replace(right, whole=-labels)), context, is_exact=False)


@pytest.mark.parametrize(
    "model",
    [
        ExactlyK(0),
        ExactlyK(1),
        ExactlyK(2),
        Bernoulli(0.0),
        Bernoulli(0.3),
        Bernoulli(1.0),
        PacketBernoulli(0.3),
        GilbertElliott(0.1, 0.5),
        OnOff(2.0, 1.0),
        Scripted((ScriptedOutage("*", 1.0, 2.0),)),
        CommonCause(0.3, beta=0.5),
        Domains((Domain("site", probability=0.1), Domain("all", "site", ("*", "*->*"), each=True, probability=0.3))),
        RepairedDomains((RepairedDomain("site", holds=("*",), mtbf_s=2.0, mttr_s=1.0),)),
        ShiftedExponential(2.0),
        LogNormal(0.5),
    ],
    ids=lambda model: type(model).__name__,
)
def test_built_in_failure_models_pass(model):
    """The contract of failure models."""
    check_failure_model(model, TOPOLOGY)


@dataclass
class Odd:
    """An outage model whose outcomes are given."""

    drawn: list
    listed: list | None = None

    def outages(self, topology, streams):
        return [self.drawn.pop(0)] if self.drawn else []

    def outcomes(self, topology):
        return self.listed


class Overlapping:
    """Repeated outages that are not apart."""

    def renewals(self, topology, streams):
        return {"a": iter([Outage("a", 0.0, 2.0), Outage("a", 1.0, 3.0)])}


class TooMany:
    """Loses more packets than there are."""

    def applies_to(self, link):
        return True

    def losses(self, link, streams):
        return self

    def n_lost(self, n_packets):
        return n_packets + 1


class Backwards:
    """Computations end before they start."""

    def slows(self, device):
        return True

    def factor(self, device, streams):
        return -1.0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Odd([Outage("a")]), "the same streams gave"),
        (Odd([Outage("z"), Outage("z")]), "'z', which is no device or link"),
        (Odd([], [(0.5, []), (0.4, [])]), "sum to 0.9"),
        (Odd([], [(1.5, []), (-0.5, [])]), "not in 0 to 1"),
        (Overlapping(), "not in order and apart"),
        (TooMany(), "0 to 1, not 2"),
        (Backwards(), "at least 0"),
        (object(), "lacks the method .* it must have outages and outcomes, or renewals, or"),
    ],
)
def test_what_is_wrong_with_a_failure_model_is_said(model, message):
    """Each broken promise has its own text."""
    with pytest.raises(AssertionError, match=message):
        check_failure_model(model, TOPOLOGY)


TASKS_AND_TARGETS = {
    "classification": (Classification(3), np.array([0, 1, 2, 2, 1, 0])),
    "multi-label": (
        MultiLabel(2), np.array([[1, 0], [0, np.nan], [1, 1], [0, 0], [np.nan, 1], [1, 0]], np.float32)
    ),
    "regression": (Regression(2), np.array([[0.0, 1.0], [2.0, -1.0], [1.0, 0.5], [-2.0, 3.0]], np.float32)),
    "next-character": (NextCharacter(3, 2), np.array([[0, 1], [2, 2], [1, 0], [0, 0]])),
    "detection": (
        Detection(2, 2, 2), np.array([[[n % 2, 0.1, 0.1, 0.4, 0.3 + n / 20], [-1] * 5] for n in range(6)], dtype=np.float32)
    ),
    "stroke-segmentation": (
        StrokeSegmentation(2, 3), np.array([[[n % 2, 1, 0], [1, n + 1, 0], [0, 1, 1]] for n in range(6)])
    ),
    "dense-classification": (
        DenseClassification(2, (2, 2)), np.array([[[0, 1], [1, -1]], [[1, 1], [0, 0]], [[0, 0], [1, 1]]])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS.names())
def test_built_in_tasks_keep_their_promises(name):
    check_task(*TASKS_AND_TARGETS[name])


@dataclass(frozen=True)
class Changed(Classification):
    """A task with one thing of another kind."""

    change: str = ""

    @property
    def scores(self):
        (first, *rest) = super().scores
        changes = {
            "smaller": {"is_larger_better": False},
            "bounds": {"high": 0.01},
            "order": {"of": first_alone, "is_mean_of_samples": False},
            "mean": {"of": square_of_accuracy},
            "name": {"name": "latency_s"},
        }
        return (replace(first, **changes.get(self.change, {})), *rest)

    def fault(self, targets):
        return "" if self.change == "fault" else super().fault(targets)

    def guess(self, targets):
        return super().guess(targets) if self.change != "guess" else np.zeros(7, np.float32)

    def loss(self, answers, targets):
        return -super().loss(answers, targets) if self.change == "loss" else super().loss(answers, targets)

    def imitation(self, answers, wanted, temperature):
        found = super().imitation(answers, wanted, temperature)
        return -found if self.change == "imitation" else found


def first_alone(answers, targets):
    return float(1 / (1 + np.exp(-answers[0, 0])))


def square_of_accuracy(answers, targets):
    return float((answers.argmax(1) == targets).mean()) ** 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("smaller", "is larger better?"),
        ("bounds", "it must be from 0.0 to 0.01"),
        ("order", "in another order"),
        ("mean", "the mean of accuracy over single samples"),
        ("name", "a score is called latency_s"),
        ("fault", "fault says nothing of texts"),
        ("guess", r"guess gives float32 of shape \(7,\)"),
        ("loss", "worse than guessing"),
        ("imitation", "another one better"),
    ],
)
def test_what_is_wrong_with_a_task_is_said(change, message):
    with pytest.raises(AssertionError, match=message):
        check_task(Changed(3, change), np.array([0, 0, 1, 2, 2, 1, 0]))


@dataclass(frozen=True)
class Rates:
    given: tuple = ()

    def changes(self):
        return iter(self.given)


def test_a_changing_rate_keeps_its_promises():
    """`steps` is the only one that is built in."""
    assert RATES.names() == ("steps",)
    check_rates(Steps((RateStep(0.0, 1e6), RateStep(0.5, 0.0)), period_s=1.0))
    check_rates(Steps((RateStep(1.0, 2e6),)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "gives nothing"),
        (((-1.0, 1e6),), "changes at -1.0 s"),
        (((0.0, -1.0),), "the rate is -1.0 bit/s"),
        (((1.0, 1e6), (1.0, 2e6)), "must increase"),
        (((0.0, 1e6), (1.0, 0.0)), "0 for ever"),
    ],
)
def test_what_is_wrong_with_a_changing_rate_is_said(given, message):
    with pytest.raises(AssertionError, match=message):
        check_rates(Rates(given))

"""Messages of fewer bytes: what they hold, and that receivers compute with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.attack import Attack
from edgesim.domain.networks.messages import Messages
from edgesim.domain.networks.partition import Partition
from edgesim.domain.networks.task import TensorSpec
from edgesim.domain.networks.training import Training
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.nn.chains.line import RoundedLine, line_of
from edgesim.nn.cut.rounded import RoundedNetwork
from edgesim.nn.distill.ensembles import build_ensemble
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.nn.train.training import forward
from edgesim.strategies.ensemble import Ensemble
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.modnn import MoDNN
from edgesim.strategies.nonn import NoNN
from edgesim.strategies.resilient import Resilient
from edgesim.strategies.single import Single
from edgesim.testing import check_strategy, deployment_context

INT8, FLOAT16 = Messages("int8"), Messages("float16")
DEGRADE = {"on_missing": "degrade", "step_deadline_s": 0.05}


@given(arrays(np.float32, (3, 7), elements=st.floats(-1e6, 1e6, width=32)))
def test_a_number_is_off_by_half_a_step_at_most(values):
    """The step is a 255th of each sample's own range, and its ends are exact, up to float32's own rounding."""
    received = INT8.received(values)
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    tiny = (
        255 * np.finfo(np.float32).smallest_subnormal
    )  # 255 steps of a range so small that float32 rounds them to nothing
    slack = 1e-6 * np.abs(values).max(axis=1, keepdims=True) + tiny
    assert (np.abs(received - values) <= (high - low) / 255 / 2 + slack).all()
    assert (np.abs(received.min(axis=1, keepdims=True) - low) <= slack).all()
    assert all(len(np.unique(row)) <= 256 for row in received)


def test_half_precision_keeps_eleven_bits_and_saturates():
    """IEEE 754: 2049 lies between two halves, what is too large becomes 65,504; whole numbers pass as they are."""
    values = np.array([[1.0, 2049.0, 1e9, -1e9]], np.float32)
    assert FLOAT16.received(values).tolist() == [[1.0, 2048.0, 65504.0, -65504.0]]
    tokens = np.array([[3, 70000]])
    assert INT8.received(tokens) is tokens


def test_bytes_of_a_cut_network_by_hand(make_context):
    """Two equal workers: a byte for each number and 8 for its range, 2 for each half; whole devices compute as before."""
    numbers = {
        "0/scatter/w1": 40, "0/gather/w1": 128, "0/scatter/w2": 40, "0/gather/w2": 128,
        "4/scatter/w1": 48, "4/gather/w1": 48, "4/scatter/w2": 48, "4/gather/w2": 48,
        "7/scatter/w1": 96, "7/gather/w1": 5, "7/scatter/w2": 96, "7/gather/w2": 5,
        "9/scatter/w1": 10, "9/gather/w1": 2, "9/scatter/w2": 10, "9/gather/w2": 1,
        "input": 64, "answer": 3,
    }  # fmt: skip
    context = make_context((1.0, 1.0), source_id="w1", sink_id="w2")
    plans = {one: MoDNN("hub", messages=one).deploy(context).plan for one in (Messages(), FLOAT16, INT8)}
    sent = {one: {step.step_id: step.size_byte for step in plan.transfers} for one, plan in plans.items()}
    assert sent[Messages()] == {name: 4 * n for name, n in numbers.items()}
    assert sent[FLOAT16] == {name: 2 * n for name, n in numbers.items()}
    assert sent[INT8] == {name: n + 8 for name, n in numbers.items()}
    assert plans[INT8].computes == plans[Messages()].computes


def test_each_part_of_a_message_has_its_own_range(make_context):
    """Neighbours with halo: as many bytes as numbers, and 8 for each box that a message brings."""
    options = {"execution": "halo", "owner_computes": True}
    halves, bytes_ = (MoDNN("hub", messages=one, **options).deploy(make_context((1.0, 1.0))) for one in (FLOAT16, INT8))
    messages = [message for stage in bytes_.stages for message in stage.schedule.messages]
    n_parts = sum(len(message.parts) for message in messages)
    sizes = [
        sum(step.size_byte for step in one.plan.transfers if "exchange" in step.step_id) for one in (halves, bytes_)
    ]
    assert messages
    assert sizes[1] == sizes[0] // 2 + 8 * n_parts


def test_a_matrix_over_two_workers_by_hand(make_context, make_noise):
    """Each worker gets the rounded input, and the owner its rounded outputs, each with a range of its own."""
    torch.manual_seed(0)
    matrix = nn.Linear(64, 6)
    context = make_context(
        (1.0, 1.0), network=nn.Sequential(nn.Flatten(), matrix).eval(), dataset=make_noise((1, 8, 8), 6)
    )
    with torch.no_grad():
        outputs = matrix(torch.from_numpy(INT8.received(context.dataset.test.only.reshape(-1, 64)))).numpy()
    expected = np.concatenate([INT8.received(outputs[:, :3]), INT8.received(outputs[:, 3:])], axis=1)
    found = MoDNN("hub", messages=INT8).deploy(context).predict(Delivery())
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found - matrix(torch.from_numpy(context.dataset.test.only).flatten(1)).detach().numpy()).max() > 1e-4


@pytest.mark.parametrize("execution", ["mapreduce", "halo", "tensor"])
@pytest.mark.parametrize("owner_computes", [True, False])
def test_without_rounding_every_loss_means_what_it_meant(make_context, execution, owner_computes):
    """The network that follows each message gives the answers of the one that computes layers at once."""
    options = {"execution": execution, "owner_computes": owner_computes, **DEGRADE}
    deployment = MoDNN("hub", **options).deploy(make_context((1.0, 0.4, 2.0)))
    owner = 0 if owner_computes else None
    schedules = [stage.schedule for stage in deployment.stages]
    followed = RoundedNetwork(deployment.network, schedules, deployment.samples, Messages(), owner=owner)
    names = sorted(deployment.plan.transfer_ids)
    for lost in [(), *combinations(names, 1), *list(combinations(names, 2))[::7], tuple(names)]:
        damage = [deployment._damage(stage, frozenset(lost), {}) for stage in deployment.stages]
        expected = deployment.predict(Delivery(frozenset(lost)))
        assert np.abs(followed.answers(damage) - expected).max() < 1e-5, lost


@pytest.mark.parametrize("options", [{}, {"owner_computes": True, "execution": "halo", **DEGRADE}])
@pytest.mark.parametrize("messages", [FLOAT16, INT8])
def test_conforms_and_changes_the_answers(make_context, options, messages):
    """A strategy still, whose answers are near those of the whole network, and not the same."""
    context = make_context((1.0, 0.4, 2.0), source_id="w1", sink_id="w2")
    check_strategy(MoDNN("hub", messages=messages, **options), context, is_exact=False)
    exact, found = (
        MoDNN("hub", messages=one, **options).deploy(context).predict(Delivery()) for one in (Messages(), messages)
    )
    assert 0 < np.abs(found - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("options", [{"pruning": 0.5}, {"linear": "mscc"}, {"partial": "use", **DEGRADE}])
def test_what_does_not_go_together_is_refused(make_context, options):
    """A sparse matrix and a part of a message have no range that was sent along."""
    with pytest.raises(
        PlanError, match="messages of dtype int8 are whole tensors; leave out pruning, linear and partial"
    ):
        MoDNN("hub", messages=INT8, **options).deploy(make_context())


@pytest.fixture(scope="module")
def students(teacher, teacher_model, digits):
    """Deploy students, one of them where the input is."""

    def deploy(strategy, **changes):
        context = deployment_context(
            teacher.network, digits, star(4), source_id="w1", sink_id="w2", filter_layer=teacher_model.filter_layer(),
            network_key=teacher.key, seed=1,
        )  # fmt: skip
        return strategy.deploy(replace(context, **changes))

    return deploy


def star(n_workers: int) -> Topology:
    ids = [f"w{number}" for number in range(1, n_workers + 1)]
    rates = dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9)
    profile = DeviceProfile("test", rates, 1e9, 0.0, 10**9, 1, 2, 3, 3, "assumed")
    links = [Link(f"{a}->{b}", a, b, 1e6) for i in ids for a, b in (("hub", i), (i, "hub"))]
    return Topology(tuple(Device(name, profile) for name in ("hub", *ids)), tuple(links))


SMALL = {"student": SmallCNN(channels=(4,), pool_after=0), "training": Training(epochs=2)}
STUDENTS = NoNN(students=4, devices="w*", merger="hub", deadline_s=0.1, **SMALL)


def test_students_by_hand(students, digits):
    """The student at the source reads the input itself, the others 64 + 8 byte of it; features and the answer take a byte each and 8."""
    deployment = students(replace(STUDENTS, messages=INT8))
    sizes = deployment.describe()["part_sizes"]
    sent = {step.step_id: step.size_byte for step in deployment.plan.transfers}
    assert sent == {
        **{f"input->w{number}": 64 + 8 for number in (2, 3, 4)},
        **{f"features w{number}->hub": size + 8 for number, size in enumerate(sizes, 1)},
        "answer": 10 + 8,
    }
    starts = np.cumsum([0, *sizes]).tolist()
    partition = Partition(tuple(tuple(range(a, b)) for a, b in pairwise(starts)), starts[-1])
    ensemble = build_ensemble(STUDENTS.student, partition, digits, 4)
    found = NetworkCache.default().load(deployment.describe()["networks_key"])
    assert found is not None
    ensemble.load_state_dict(found[0])
    images = digits.test.inputs
    features = [
        INT8.received(forward(network, images if number == 0 else INT8.received_inputs(images)))
        for number, network in enumerate(ensemble.students)
    ]
    with torch.no_grad():
        expected = INT8.received(ensemble.answers([torch.from_numpy(one) for one in features]).numpy())
    assert np.abs(deployment.predict(Delivery()) - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize(
    "strategy",
    [
        STUDENTS, replace(STUDENTS, head="per-survivors"), replace(STUDENTS, missing="learned"),
        Resilient(students=4, parts=2, devices="w*", merger="hub", deadline_s=0.1, replicas="identical", **SMALL),
        Ensemble(students=4, devices="w*", merger="hub", deadline_s=0.1, **SMALL),
        Single("hub"),
    ],
)  # fmt: skip
def test_all_of_them_compute_with_what_was_sent(students, strategy):
    """With and without losses the answers change, the less so the more bytes there are; fewer bytes are sent."""
    exact, halves, bytes_ = (students(replace(strategy, messages=one)) for one in (Messages(), FLOAT16, INT8))
    traffic = [sum(step.size_byte for step in one.plan.transfers) for one in (bytes_, halves, exact)]
    assert traffic == sorted(set(traffic))
    lost = frozenset() if isinstance(strategy, Single) else frozenset({"features w3->hub"})
    for delivery in {Delivery(), Delivery(lost)}:
        off = [np.abs(one.predict(delivery) - exact.predict(delivery)).max() for one in (halves, bytes_)]
        assert 0 < off[0] < off[1] < 0.2 * np.abs(exact.predict(delivery)).max()


@pytest.mark.parametrize(
    "strategy", [STUDENTS, Single("hub"), Ensemble(students=4, devices="w*", merger="hub", **SMALL)]
)
def test_attacks_need_gradients(students, strategy):
    """Before anything is trained."""
    with pytest.raises(PlanError, match="which messages of dtype int8 have none of"):
        students(replace(strategy, messages=INT8), attack=Attack(radius=0.1))


def test_a_chain_by_hand(make_context):
    """Cut behind the pooling: 4 x 4 x 4 numbers cross, and the second device computes with them as they were written."""
    context = make_context((1.0, 1.0), source_id="hub", sink_id="hub")
    chain = Chain(("w1", "w2"), cuts=("3",), messages=INT8)
    deployment = chain.deploy(context)
    sent = {step.step_id: step.size_byte for step in deployment.plan.transfers}
    assert sent == {"input": 64 + 8, "behind 3": 64 + 8, "answer": 3 + 8}
    network = context.network
    with torch.no_grad():
        first = network[:4](torch.from_numpy(INT8.received(context.dataset.test.only))).numpy()
        expected = INT8.received(network[4:](torch.from_numpy(INT8.received(first))).numpy())
    assert np.abs(deployment.predict(Delivery()) - expected).max() < 1e-5
    check_strategy(chain, context, is_exact=False)


def test_a_shortcut_that_passes_a_cut_is_rounded_too():
    """Behind one layer of a residual block, two tensors cross; a view of one has its range."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.a(x)
            return self.c(self.b(first.view(-1, 4)) + first)

    torch.manual_seed(0)
    network, inputs = Residual().eval(), {"x": TensorSpec((4,))}
    x = torch.randn(5, 4)

    def received(tensor: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(INT8.received(tensor.numpy()))

    with torch.inference_mode():
        first = received(network.a(x))
        second = received(network.b(first))
        expected = network.c(second + received(first))
        found = RoundedLine(network, inputs, (1, 2), INT8).answers({"x": x})
        assert torch.equal(RoundedLine(network, inputs, (1, 2), Messages()).answers({"x": x}), network(x))
    assert (found - expected).abs().max() < 1e-5
    assert line_of(network, inputs, INT8).sent_byte == (12, 12, 24, 12, 10)


def test_neighbours_with_halo_by_hand(make_context, make_noise):
    """Two convolutions over two workers: strips of the input, then one row of the other's first layer, then results, each rounded by itself."""
    torch.manual_seed(0)
    one, two = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
    context = make_context(
        (1.0, 1.0), network=nn.Sequential(one, two, nn.Flatten()).eval(), dataset=make_noise((1, 8, 8), 128)
    )

    def received(tensor: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(INT8.received(tensor.numpy()))

    with torch.no_grad():
        x = torch.from_numpy(context.dataset.test.only)
        upper = one(received(x[:, :, :5]))[:, :, :4]  # behind the border to the other's rows nothing is used
        lower = one(received(x[:, :, 3:]))[:, :, 1:]
        results = (
            two(torch.cat([upper, received(lower[:, :, :1])], 2))[:, :, :4],
            two(torch.cat([received(upper[:, :, 3:]), lower], 2))[:, :, 1:],
        )
        expected = torch.cat([received(result) for result in results], 2).flatten(1).numpy()
    found = MoDNN("hub", execution="halo", messages=INT8).deploy(context).predict(Delivery())
    steps = [(result.amax((1, 2, 3)) - result.amin((1, 2, 3))).max() / 255 for result in results]
    assert np.abs(found - expected).max() < 1.01 * float(max(steps)), (
        "a sum at the edge of two levels may fall to either"
    )
    assert np.mean(np.abs(found - expected) > 1e-5) < 0.01

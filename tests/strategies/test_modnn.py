"""Layer partitioning: who computes what, what is sent, and what a loss does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.messages import Messages
from edgesim.domain.system.topology import Link, Topology
from edgesim.errors import PlanError
from edgesim.nn.operators.division import apportion
from edgesim.nn.train.training import forward
from edgesim.strategies.modnn import MoDNN
from edgesim.testing import check_strategy

DEGRADE = {"on_missing": "degrade", "step_deadline_s": 0.05}


def vgg16() -> nn.Sequential:
    """VGG-16, configuration D of Simonyan and Zisserman (arXiv 1409.1556), without weights."""
    layers: list[nn.Module] = []
    n_inputs = 3
    for size in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if size == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(n_inputs, size, 3, padding=1), nn.ReLU(inplace=True)]
        n_inputs = size
    head = [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(True), nn.Linear(4096, 4096), nn.ReLU(True)]
    return nn.Sequential(*layers, *head, nn.Linear(4096, 1000))


@pytest.fixture(scope="module")
def vgg_context(make_context, make_noise):
    """VGG-16 at 224x224 in stars of n workers; for plans only, so without weights."""
    with torch.device("meta"):
        network = vgg16()
    dataset = make_noise((3, 224, 224), n_classes=1000, n=1)
    return lambda n_workers: make_context([1.0] * n_workers, network=network, dataset=dataset)


@pytest.mark.parametrize(("n_devices", "published_megabyte"), [(2, 45.8), (4, 70.2), (8, 85.6)])
def test_traffic_of_vgg16(vgg_context, n_devices, published_megabyte):
    """All convolutions of VGG-16 at 224, p equal devices of which the owner is one: totals by the closed form, to 1 %.

    Per layer 4 [sum over the others of (rows + halo) W C_in + rows' W' C_out] byte, halo one row per inner border.
    """
    plan = MoDNN("hub", owner_computes=True).deploy(vgg_context(n_devices - 1)).plan
    sent = sum(transfer.size_byte for transfer in plan.transfers if "rows" in transfer.tensor and is_conv(transfer))
    assert sent / 1e6 == pytest.approx(published_megabyte, rel=0.01)


def is_conv(transfer) -> bool:
    """The convolutions of `vgg16` stand before its flattening layer, number 31."""
    return int(transfer.step_id.split("/")[0]) < 31


def test_work_of_vgg16_is_shared_out_whole(vgg_context):
    """30.9 GFLOP in convolutions and matrices, however many devices: nothing is computed twice or left out."""
    for n_workers in (1, 3):
        context = vgg_context(n_workers)
        plan = MoDNN("hub").deploy(context).plan
        assert sum(w.work_flop for step in plan.computes for w in step.work) == pytest.approx(context.graph.work_flop)
    dense = sum(layer.work_flop for layer in context.graph.layers if layer.operator != "other")
    assert dense / 1e9 == pytest.approx(30.94, abs=0.01)


def test_rows_are_dealt_out_by_speed(make_context):
    """Speeds 1, 1, 2 on 8 rows: 2, 2, 4; on 4 rows: 1, 1, 2; on 10 outputs 3, 2, 5 (the tie goes to the first)."""
    boxes = MoDNN("hub").deploy(make_context((1.0, 1.0, 2.0))).describe()["boxes"]
    assert boxes == {
        "0": {"w1": "rows 0:2", "w2": "rows 2:4", "w3": "rows 4:8"},
        "4": {"w1": "rows 0:1", "w2": "rows 1:2", "w3": "rows 2:4"},
        "7": {"w1": "features 0:3", "w2": "features 3:5", "w3": "features 5:10"},
        "9": {"w1": "features 0:1", "w2": "features 1:2", "w3": "features 2:3"},
    }


def test_apportioning_keeps_the_sum_and_the_quota():
    """Every share is the quota rounded up or down."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        speeds = rng.random(rng.integers(1, 9)) + 1e-3
        n_rows = int(rng.integers(0, 40))
        counts = apportion(n_rows, list(speeds))
        assert sum(counts) == n_rows
        assert all(abs(c - n_rows * s / speeds.sum()) < 1 for c, s in zip(counts, speeds, strict=True))


def test_a_device_without_rows_takes_no_part(make_context):
    """A worker a thousand times slower gets no rows, no messages, no weights."""
    plan = MoDNN("hub").deploy(make_context((1.0, 0.001))).plan
    assert plan.device_ids == ("hub", "w1")


def test_every_byte_follows_from_the_shapes(make_context):
    """Two equal workers on the small network, by hand: strips with one halo row, vectors whole, slices by output."""
    plan = MoDNN("hub").deploy(make_context((1.0, 1.0))).plan
    sent = {transfer.step_id: transfer.size_byte // 4 for transfer in plan.transfers}
    assert sent == {
        "0/scatter/w1": 5 * 8, "0/gather/w1": 4 * 8 * 4, "0/scatter/w2": 5 * 8, "0/gather/w2": 4 * 8 * 4,
        "4/scatter/w1": 3 * 4 * 4, "4/gather/w1": 2 * 4 * 6, "4/scatter/w2": 3 * 4 * 4, "4/gather/w2": 2 * 4 * 6,
        "7/scatter/w1": 96, "7/gather/w1": 5, "7/scatter/w2": 96, "7/gather/w2": 5,
        "9/scatter/w1": 10, "9/gather/w1": 2, "9/scatter/w2": 10, "9/gather/w2": 1,
    }  # fmt: skip
    kinds = {transfer.step_id: transfer.kind for transfer in plan.transfers}
    assert Counter(kinds.values()) == {"input": 2, "intermediate": 12, "result": 2}
    assert {kinds["0/scatter/w1"], kinds["9/gather/w2"]} == {"input", "result"}


def test_weights_are_where_they_are_used(make_context):
    """Workers hold whole convolutions and norms and their rows of the matrices; the owner holds nothing unless it computes."""
    conv = 4 * (4 * 9 + 4) + 4 * 4 * 4 + 8 + 4 * (6 * 4 * 9 + 6)
    matrices = {"w1": 5 * 97 + 2 * 11, "w2": 5 * 97 + 1 * 11}
    plan = MoDNN("hub").deploy(make_context((1.0, 1.0))).plan
    assert plan.weight_byte == {"hub": 0, **{name: conv + 4 * size for name, size in matrices.items()}}
    shared = MoDNN("hub", owner_computes=True).deploy(make_context((1.0,))).plan
    assert shared.weight_byte == {"hub": conv + 4 * matrices["w1"], "w1": conv + 4 * matrices["w2"]}


def test_activations_of_a_worker_are_its_slices(make_context):
    """First strip of two: 5 rows in, 4 rows of 4 channels out, and again for the norm behind, which does not overwrite."""
    plan = MoDNN("hub").deploy(make_context((1.0, 1.0))).plan
    steps = {step.step_id: step for step in plan.computes}
    assert steps["0/compute/w1"].activation_byte == 4 * max(5 * 8 + 4 * 8 * 4, 2 * 4 * 8 * 4)
    assert steps["0/join"].activation_byte == 4 * (8 * 8 * 4 + 4 * 4 * 4)


def test_the_owner_waits_from_its_previous_step(make_context):
    """Joins depend on the owner's previous step, so that the deadline counts from when it could scatter."""
    plan = MoDNN("hub", **DEGRADE).deploy(make_context((1.0, 1.0))).plan
    joins = [step for step in plan.computes if step.device_id == "hub"]
    assert [step.step_id for step in joins] == ["start", "0/join", "4/join", "7/join", "9/join"]
    assert all(before.step_id in step.inputs for before, step in pairwise(joins))
    assert [step.deadline_s for step in joins] == [None, 0.05, 0.05, 0.05, 0.05]
    assert all(step.on_missing == "wait" for step in plan.computes if step.device_id != "hub")
    waiting = MoDNN("hub", step_deadline_s=0.05).deploy(make_context((1.0, 1.0))).plan
    assert all(step.on_missing == "wait" for step in waiting.computes)


@pytest.mark.parametrize(
    "options",
    [
        {},
        DEGRADE,
        {"owner_computes": True},
        {"owner_computes": True, **DEGRADE},
        {"partial": "use", **DEGRADE},
        {"execution": "tensor"},
        {"missing": "mean", **DEGRADE},
        {"missing": "mean", "partial": "use", "owner_computes": True, **DEGRADE},
    ],
)
@pytest.mark.parametrize(("source_id", "sink_id"), [("hub", "hub"), ("w1", "w2")])
def test_conforms(make_context, options, source_id, sink_id):
    """The contract holds, whoever computes, whatever is done about losses, wherever the input comes from."""
    context = make_context((1.0, 0.4, 2.0), source_id=source_id, sink_id=sink_id)
    check_strategy(MoDNN("hub", **options), context)


def test_a_lost_worker_leaves_zeros_in_every_layer(make_context):
    """Without w1, by hand: its first rows of both convolutions, and its first outputs of both matrices, are zero."""
    context = make_context((1.0, 1.0))
    deployment = MoDNN("hub", **DEGRADE).deploy(context)
    network = context.network
    with torch.no_grad():
        x = network[:3](torch.from_numpy(context.dataset.test.only))
        x[:, :, :4] = 0
        x = network[4:6](network[3](x))
        x[:, :, :2] = 0
        x = network[7:9](x.flatten(1))
        x[:, :5] = 0
        x = network[9](x)
        x[:, :2] = 0
    delivered = frozenset(name for name in deployment.plan.transfer_ids if not name.endswith("/w1"))
    found = deployment.predict(Delivery(deployment.plan.transfer_ids - delivered))
    assert np.abs(found - x.numpy()).max() < 1e-5 * np.abs(x.numpy()).max()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_means_over_the_validation_split_stand_for_a_lost_worker(make_context, dtype):
    """As above, with the mean of what each layer gives to validation samples in place of zeros; the owner holds the means of all that it gathers."""
    context = make_context((1.0, 1.0))
    options = {**DEGRADE, "messages": Messages(dtype)}
    deployment = MoDNN("hub", missing="mean", **options).deploy(context)
    network = context.network
    with torch.no_grad():
        images, x = (torch.from_numpy(some.only) for some in (context.dataset.validation, context.dataset.test))
        means = {stop: network[:stop](images).mean(0) for stop in (3, 6, 9, 10)}
        x = network[:3](x)
        x[:, :, :4] = means[3][:, :4]
        x = network[4:6](network[3](x))
        x[:, :, :2] = means[6][:, :2]
        x = network[7:9](x.flatten(1))
        x[:, :5] = means[9][:5]
        x = network[9](x)
        x[:, :2] = means[10][:2]
    lost = frozenset(name for name in deployment.plan.transfer_ids if name.endswith("/w1"))
    found = deployment.predict(Delivery(lost))
    tolerance = 1e-5 if dtype == "float32" else 2e-3
    assert np.abs(found - x.numpy()).max() < tolerance * np.abs(x.numpy()).max()
    zeros = MoDNN("hub", **options).deploy(context)
    held_byte = deployment.plan.weight_byte["hub"] - zeros.plan.weight_byte["hub"]
    assert held_byte == 4 * (4 * 8 * 8 + 6 * 4 * 4 + 10 + 3)
    assert not np.allclose(found, zeros.predict(Delivery(lost)), rtol=0.01)


def test_means_stand_for_lost_halos(make_context):
    """The second convolution of w2 reads one row of w1 that did not come: the mean of that row, held by w2."""
    context = make_context((1.0, 1.0))
    links = tuple(Link(f"{a}->{b}", a, b, 1e7) for a, b in permutations(("hub", "w1", "w2"), 2))
    context = replace(context, topology=Topology(context.topology.devices, links))
    options = {"execution": "halo", **DEGRADE}
    deployment = MoDNN("hub", missing="mean", **options).deploy(context)
    (halo,) = [name for name in deployment.plan.transfer_ids if "/exchange" in name and name.endswith("/w1/w2")]
    network = context.network
    with torch.no_grad():
        images, x = (torch.from_numpy(some.only) for some in (context.dataset.validation, context.dataset.test))
        pooled, mean = network[:4](x), network[:4](images).mean(0)
        whole = network[4:6](pooled)
        pooled[:, :, 1] = mean[:, 1]
        whole[:, :, 2:] = network[4:6](pooled)[:, :, 2:]
        expected = network[6:](whole).numpy()
    found = deployment.predict(Delivery(frozenset({halo})))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    held_byte = deployment.plan.weight_byte["w2"] - MoDNN("hub", **options).deploy(context).plan.weight_byte["w2"]
    assert held_byte == 4 * 4 * 4  # one row of four channels and four columns


def test_a_slice_is_lost_on_the_way_there_or_back_alike(make_context):
    """The same slice missing for either reason, or both, gives the same answer, for which the network is asked once."""
    deployment = MoDNN("hub", **DEGRADE).deploy(make_context((1.0, 1.0)))
    both = {"4/scatter/w2", "4/gather/w2"}
    answers = [deployment.predict(Delivery(frozenset(lost))) for lost in (both, {"4/scatter/w2"}, {"4/gather/w2"})]
    assert all(answer is answers[0] for answer in answers)
    assert not np.array_equal(answers[0], deployment.predict(Delivery()))


def test_losing_all_workers_leaves_the_last_layer_empty(make_context):
    """With nothing delivered all logits are zero: the last layer was cut too."""
    deployment = MoDNN("hub", **DEGRADE).deploy(make_context())
    assert not deployment.predict(Delivery(deployment.plan.transfer_ids)).any()


def test_who_waits_has_no_answer_without_everything(make_context):
    """With `wait` a missing slice means that no answer ever comes."""
    deployment = MoDNN("hub").deploy(make_context())
    with pytest.raises(PlanError, match="no answer without transfer '4/gather/w1'"):
        deployment.predict(Delivery(frozenset({"4/gather/w1"})))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owner": "hub", "missing": "mean"}, "missing 'mean' needs on_missing 'degrade'"),
        (
            {"owner": "hub", "missing": "mean", "pruning": 0.5, **DEGRADE},
            "missing 'mean' needs on_missing 'degrade', and neither pruning",
        ),
        ({"owner": "nobody"}, r"modnn\.owner: there is no device 'nobody'"),
        ({"owner": "hub", "workers": "x*"}, r"modnn\.workers: 'x\*' matches no device"),
        ({"owner": "hub", "workers": "hub"}, r"modnn\.workers: 'hub' matches no device but the owner"),
        ({"owner": "hub", "on_missing": "degrade"}, "needs step_deadline"),
    ],
)
def test_wrong_options_are_refused(make_context, options, message):
    """Each error names the option and what is wrong with it."""
    with pytest.raises(PlanError, match=message):
        MoDNN(**options).deploy(make_context())


def test_a_network_without_anything_to_cut_is_refused(make_context, make_noise):
    """Nothing to cut: the error names the strategy to use."""
    network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
    context = make_context(network=network, dataset=make_noise((1, 2, 2), 1))
    with pytest.raises(PlanError, match="use strategy 'single'"):
        MoDNN("hub").deploy(context)


def test_on_the_real_teacher(make_context, digits, teacher):
    """Cut over eight workers, the trained network answers as before; without any worker it knows nothing."""
    context = make_context([1.0] * 8, network=teacher.network, dataset=digits)
    deployment = MoDNN("hub", "w*", **DEGRADE).deploy(context)
    everything = deployment.plan.transfer_ids
    expected = forward(teacher.network, digits.test.inputs)
    assert np.abs(deployment.predict(Delivery()) - expected).max() < 1e-5 * np.abs(expected).max()
    accuracy = []
    for lost in ("", "4", "45678", "12345678"):
        delivered = frozenset(name for name in everything if name[-1] not in lost)
        accuracy.append(
            float((deployment.predict(Delivery(everything - delivered)).argmax(1) == digits.test.targets).mean())
        )
    assert accuracy[0] > 0.95
    assert accuracy[0] > accuracy[2]
    assert accuracy[3] < 0.2

from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.training import Training
from edgesim.domain.plan import Compute
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import PlanError
from edgesim.nn.models.zoo import SmallCNN
from edgesim.nn.train.cache import NetworkCache
from edgesim.strategies.nonn import NoNN
from edgesim.testing import check_strategy, deployment_context

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edgesim.domain.networks.samples import Dataset
    from edgesim.interfaces import DeploymentContext, Task
    from edgesim.nn.train.training import TrainedNetwork
    from edgesim.strategies.students.networks import StudentDeployment

PROFILE = DeviceProfile(
    "test", dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9), 1e9, 0.0, 10**9, 1, 2, 3, 3, "assumed"
)
STUDENTS = NoNN(
    students=4, devices="w*", merger="hub", deadline_s=0.1,
    student=SmallCNN(channels=(4,), pool_after=0), training=Training(epochs=2),
)  # fmt: skip


class Refusing:
    """Progress of work that must not be begun."""

    def task(self, label: str, n_total: int) -> AbstractContextManager[Task]:
        pytest.fail(f"{label} was begun")


def star(*names: str) -> Topology:
    """A hub with links to and from each other device."""
    links = [Link(f"{a}->{b}", a, b, 1e6) for name in names for a, b in (("hub", name), (name, "hub"))]
    return Topology(tuple(Device(name, PROFILE) for name in ("hub", *names)), tuple(links))


@pytest.fixture(scope="module")
def context(teacher: TrainedNetwork, teacher_model: SmallCNN, digits: Dataset) -> DeploymentContext:
    return deployment_context(
        teacher.network,
        digits,
        star("w1", "w2", "w3", "w4"),
        source_id="hub",
        sink_id="hub",
        filter_layer=teacher_model.filter_layer(),
        network_key=teacher.key,
        seed=1,
    )


@pytest.fixture(scope="module")
def deployment(context: DeploymentContext) -> StudentDeployment:
    return STUDENTS.deploy(context)


def test_it_keeps_the_promises_of_a_strategy(context: DeploymentContext) -> None:
    """The conformance checks that third parties run too."""
    check_strategy(STUDENTS, context, is_exact=False)


def test_the_plan_of_one_inference(deployment: StudentDeployment) -> None:
    """The whole input to every device, 4 byte per filter of the part back, the merger degrades at its deadline."""
    plan = deployment.plan
    sizes = deployment.describe()["part_sizes"]
    names = ("w1", "w2", "w3", "w4")
    assert [(step.step_id, step.kind, step.size_byte) for step in plan.transfers] == [
        item
        for name, size in zip(names, sizes, strict=True)
        for item in ((f"input->{name}", "input", 8 * 8 * 4), (f"features {name}->hub", "result", 4 * size))
    ]
    merge = plan.computes[-1]
    assert (merge.step_id, merge.device_id, merge.on_missing, merge.deadline_s) == ("merge", "hub", "degrade", 0.1)
    assert merge.inputs == tuple(f"features {name}->hub" for name in names)
    assert plan.answer_id == "merge"
    assert [step.device_id for step in plan.computes[:-1]] == list(names)


def test_work_and_weights_are_those_of_the_networks(deployment: StudentDeployment) -> None:
    """Hand count of one student: conv 1->4, normalisation, bridge 4->n, normalisation; the head is n filters x 10 classes."""
    facts = deployment.describe()
    for student, step in zip(facts["students"], deployment.plan.computes, strict=False):
        n = student["n_features"]
        assert student["n_parameters"] == 36 + 8 + 4 * n + 2 * n
        # parameters, running mean and variance as float32, and two counters of batches as int64
        assert student["weight_byte"] == 4 * (student["n_parameters"] + 8 + 2 * n) + 2 * 8
        assert deployment.plan.weight_byte[student["device"]] == student["weight_byte"]
        conv_flop = sum(layer.work_flop for layer in step.work if layer.operator == "conv")
        assert conv_flop == 2 * 64 * (9 * 4 + 4 * n)
    n_features = sum(facts["part_sizes"])
    assert deployment.plan.weight_byte["hub"] == 4 * (n_features * 10 + 10)
    assert sum(layer.work_flop for layer in deployment.plan.computes[-1].work) == 2 * n_features * 10


def test_every_pattern_of_losses_equals_running_the_survivors(
    deployment: StudentDeployment, context: DeploymentContext
) -> None:
    """All 16 sets of students: features of the survivors, zeros for the others, through the head; equal to 1e-5."""
    from edgesim.nn.distill.ensembles import build_ensemble

    found = NetworkCache.default().load(deployment.describe()["networks_key"])
    assert found is not None
    state, card = found
    from edgesim.domain.networks.partition import Partition

    partition = Partition(tuple(tuple(part) for part in card["determined_by"]["parts"]), 64)
    ensemble = build_ensemble(STUDENTS.student, partition, context.dataset, 4)
    ensemble.load_state_dict(state)
    ensemble.eval()
    inputs = torch.from_numpy(context.dataset.test.only)
    names = ("w1", "w2", "w3", "w4")
    for arrived in itertools.product((False, True), repeat=4):
        chunks = []
        with torch.inference_mode():
            for there, network, size in zip(arrived, ensemble.students, partition.sizes, strict=True):
                chunks.append(network(inputs) if there else torch.zeros(len(inputs), size))
            wanted = ensemble.head(torch.cat(chunks, dim=1)).numpy()
        delivered = {f"input->{name}" for name in names}
        delivered |= {f"features {name}->hub" for name, there in zip(names, arrived, strict=True) if there}
        np.testing.assert_allclose(
            deployment.predict(Delivery(deployment.plan.transfer_ids - delivered)), wanted, atol=1e-5
        )


def test_everything_delivered_is_the_trained_ensemble(
    deployment: StudentDeployment, context: DeploymentContext
) -> None:
    """Its accuracy on the test split is the one that `describe` states."""
    answers = deployment.predict(Delivery())
    assert answers.dtype == np.float32
    accuracy = np.mean(answers.argmax(axis=1) == context.dataset.test.targets)
    assert accuracy == deployment.describe()["test_accuracy"]


def test_a_student_without_its_input_does_not_count(deployment: StudentDeployment) -> None:
    """Losing the input of w2 is the same as losing its features."""
    without_input = deployment.predict(Delivery(frozenset({"input->w2"})))
    assert np.array_equal(without_input, deployment.predict(Delivery(frozenset({"features w2->hub"}))))
    assert not np.array_equal(without_input, deployment.predict(Delivery()))


def test_nothing_delivered_is_the_bias(deployment: StudentDeployment) -> None:
    """All samples get the same answer."""
    answers = deployment.predict(Delivery(deployment.plan.transfer_ids))
    assert np.array_equal(answers, np.tile(deployment.bias, (360, 1)))


def test_nothing_is_sent_within_a_device(context: DeploymentContext) -> None:
    """Source and merger run students themselves; the logits go on to another sink."""
    strategy = dataclasses.replace(STUDENTS, devices="*", students=4, merger="w1")
    deployment = strategy.deploy(
        dataclasses.replace(context, topology=star("w1", "w2", "w3"), source_id="hub", sink_id="w3")
    )
    plan = deployment.plan
    assert [step.step_id for step in plan.transfers] == [
        "features hub->w1", "input->w1", "input->w2", "features w2->w1", "input->w3", "features w3->w1", "answer",
    ]  # fmt: skip
    assert plan.transfers[-1].size_byte == 40
    assert (plan.answer_id, plan.computes[-1].device_id) == ("arrival", "w3")
    with pytest.raises(PlanError, match="no answer without transfer 'answer'"):
        deployment.predict(Delivery(frozenset({"answer"})))
    facts = deployment.describe()
    weights = {student["device"]: student["weight_byte"] for student in facts["students"]}
    weights["w1"] += 4 * (sum(facts["part_sizes"]) * 10 + 10)  # the head
    assert plan.weight_byte == weights


def test_the_merger_is_the_sink_by_default_and_waits_without_deadline(context: DeploymentContext) -> None:
    """No deadline means that it stalls when something is lost."""
    plan = dataclasses.replace(STUDENTS, merger=None, deadline_s=None).deploy(context).plan
    merge = next(step for step in plan.steps if step.step_id == "merge")
    assert isinstance(merge, Compute)
    assert (merge.device_id, merge.on_missing) == ("hub", "wait")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"students": 3}, r"3 students need 3 devices, but 'w\*' matches 4 of hub, w1, .*; set students: 4, or give"),
        ({"devices": "x*"}, r"'x\*' matches 0 of hub, w1, w2, w3, w4; give a pattern that matches 4"),
        ({"merger": "hob"}, "merger: there is no device 'hob' in the topology; its devices are hub, w1"),
    ],
)
def test_students_that_do_not_fit_the_devices(
    context: DeploymentContext, changes: dict[str, object], message: str
) -> None:
    """The message says what there is and what to change; nothing has been trained."""
    with pytest.raises(PlanError, match=message):
        dataclasses.replace(STUDENTS, **changes).deploy(dataclasses.replace(context, progress=Refusing()))


def test_devices_without_a_route_are_found_before_training(context: DeploymentContext) -> None:
    """w4 has no links."""
    topology = star("w1", "w2", "w3")
    topology = Topology((*topology.devices, Device("w4", PROFILE)), topology.links)
    with pytest.raises(PlanError, match="no route from 'hub' to 'w4'"):
        dataclasses.replace(STUDENTS, students=4).deploy(dataclasses.replace(context, topology=topology))


def test_more_students_than_filters(context: DeploymentContext) -> None:
    """65 parts of 64 filters."""
    names = [f"w{number}" for number in range(1, 66)]
    with pytest.raises(PlanError, match="64 filters cannot be divided into 65 parts"):
        dataclasses.replace(STUDENTS, students=65).deploy(dataclasses.replace(context, topology=star(*names)))


def test_facts_can_be_written_as_json(deployment: StudentDeployment) -> None:
    """Sizes and dropped filters add up to the teacher's filters."""
    facts = json.loads(json.dumps(deployment.describe()))
    assert sum(facts["part_sizes"]) + len(facts["dropped_filters"]) == facts["n_filters"] == 64
    assert facts["teacher_test_accuracy"] >= 0.97
    assert [student["device"] for student in facts["students"]] == ["w1", "w2", "w3", "w4"]


def test_a_worker_needs_no_torch(deployment: StudentDeployment, tmp_path: Path) -> None:
    """A pickled deployment is read and asked in a process that never imports torch."""
    (tmp_path / "deployment").write_bytes(pickle.dumps(deployment))
    code = (
        "import pickle, sys, pathlib\n"
        f"deployment = pickle.loads(pathlib.Path({str(tmp_path / 'deployment')!r}).read_bytes())\n"
        "from edgesim.domain.delivery import Delivery\n"
        "print(deployment.predict(Delivery()).shape, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "(360, 10) False\n"

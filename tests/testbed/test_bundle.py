"""Kernels written down as graphs of operators, and plans executed through them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgesim.domain.networks.messages import Messages
from edgesim.domain.networks.training import Training
from edgesim.errors import DataError, PlanError
from edgesim.interfaces import KEPT
from edgesim.nn.kernels.program import Given, Program, Runner, operator_of
from edgesim.nn.kernels.tracing import traced
from edgesim.nn.models.zoo import SmallCNN
from edgesim.strategies.ensemble import Ensemble
from edgesim.strategies.layers.chain import Chain
from edgesim.strategies.modnn import MoDNN
from edgesim.strategies.resilient import Resilient
from edgesim.strategies.single import Single
from edgesim.testbed.bundle import Execution, bundled
from edgesim.testing import check_bundle, deployment_context
from tests.strategies.conftest import noise_dataset, small_network, star

DEGRADE = {"on_missing": "degrade", "step_deadline_s": 0.05}
FEW = {
    "students": 2, "devices": "w*", "merger": "hub", "deadline_s": 0.1,
    "student": SmallCNN(channels=(4,), pool_after=0), "training": Training(epochs=1),
}  # fmt: skip


def context(speeds=(1.0, 2.0), network=None, **ends):
    where = {"source_id": "hub", "sink_id": "hub", **ends}
    return deployment_context(
        network or small_network(), noise_dataset((1, 8, 8)), star(speeds), filter_layer="4", **where
    )


@pytest.mark.parametrize(
    "strategy",
    [
        Single("w1"),
        Chain(("w1", "w2"), cuts=("3",)),
        MoDNN("hub", execution="halo", owner_computes=True, **DEGRADE),
        MoDNN("hub", linear="mscc", pruning=0.5, **DEGRADE),
        MoDNN("hub", missing="mean", **DEGRADE),
        MoDNN("hub", execution="halo", missing="mean", owner_computes=True, **DEGRADE),
        MoDNN("hub", execution="tensor", missing="mean", **DEGRADE),
        Resilient(parts=2, missing="mean", **FEW),
        Resilient(parts=1, replicas="identical", **FEW),
        Resilient(parts=2, missing="learned", **FEW),
        Resilient(parts=2, head="per-survivors", **FEW),
        Ensemble(**FEW),
        Single("w1", messages=Messages("int8")),
        Chain(("w1", "w2"), cuts=("3",), messages=Messages("float16")),
        MoDNN("hub", messages=Messages("int8"), **DEGRADE),
        MoDNN("hub", execution="halo", owner_computes=True, missing="mean", messages=Messages("int8"), **DEGRADE),
        Resilient(parts=2, messages=Messages("int8"), **FEW),
        Resilient(parts=2, head="per-survivors", messages=Messages("float16"), **FEW),
        Ensemble(messages=Messages("int8"), **FEW),
    ],
    ids=lambda strategy: type(strategy).__name__.lower(),
)
def test_written_kernels_answer_what_predict_answers(strategy):
    """With nothing, each one and all transfers lost; what is sent is as large as the plan says."""
    made = context()
    check_bundle(strategy.deploy(made), made.dataset.test)


def test_a_kernel_keeps_only_the_weights_that_it_uses():
    """Of a convolution of eight channels that two devices share, each program holds four."""
    made = context((1.0, 1.0), nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Flatten(), nn.Linear(512, 3)).eval())
    bundle = bundled(MoDNN("hub", cut="channels").deploy(made), made.dataset.test[:1].inputs)
    weights = bundle.programs["0/compute/w1"].weights.values()
    assert sorted(tuple(tensor.shape) for tensor in weights) == [(4,), (4, 1, 3, 3)]


def test_a_program_is_the_same_after_json():
    """Infinities, types and results of several tensors among the arguments."""

    class Kernel:
        def __call__(self, given, there):
            (x,) = given["x"]
            found, places = torch.nn.functional.max_pool2d(x, 2, padding=1, return_indices=True)
            masked = torch.where(x > 0, x, float("-inf")).softmax(-1) * there["x"]
            return {KEPT: [found, places.to(torch.float32), masked]}

    x = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    program = traced(Kernel(), {"x": (x,)}, (KEPT,))
    read = Program.read(json.loads(json.dumps(program.document(), allow_nan=False)), program.weights)
    expected = Kernel()({"x": (x,)}, {"x": torch.ones(())})[KEPT]
    for found, wanted in zip(Runner(read).run({"x": (x,)})[KEPT], expected, strict=True):
        torch.testing.assert_close(found, wanted, equal_nan=True)


@pytest.mark.parametrize(
    "name",
    [
        "aten.from_file.default",
        "aten.relu_.default",
        "os.system",
        "aten.nothing.default",
        "aten.save.x",
        "prim.device.x",
    ],
)
def test_operators_that_do_more_than_compute_are_refused(name):
    with pytest.raises(DataError, match="a kernel names the operator"):
        Program.read({"given": [], "nodes": [{"name": "a", "op": name, "args": [], "kwargs": {}}], "results": {}}, {})


def test_a_kernel_that_is_none_and_tensors_of_another_shape_are_refused():
    with pytest.raises(DataError, match="not written as one"):
        Program.read({"nodes": []}, {})
    program = Program((Given("x", ((1, 2),), ("float32",)),), (), {}, {})
    with pytest.raises(DataError, match="the kernel reads"):
        Runner(program).run({"x": (torch.zeros(1, 3),)})


def test_a_kernel_that_looks_at_values_is_refused():
    def kernel(given, there):
        return {KEPT: given["x"] if given["x"][0].sum() > 0 else []}

    with pytest.raises(DataError, match="graph of operators"):
        traced(kernel, {"x": (torch.ones(1),)}, (KEPT,))


def test_operators_are_those_of_torch():
    assert operator_of("aten.mm.default") is torch.ops.aten.mm.default


def test_a_message_of_another_size_than_planned_is_refused():
    made = context()
    deployment = Single("w1").deploy(made)
    plan = replace(
        deployment.plan, steps=tuple(replace(s, size_byte=5) if hasattr(s, "size_byte") else s for s in deployment.plan.steps)
    )  # fmt: skip
    with pytest.raises(PlanError, match="carries tensors of 256 byte, but the plan says 5"):
        bundled(replace(deployment, plan=plan), made.dataset.test[:1].inputs)


def test_wrong_answers_and_impossible_ones_are_found():
    """The check sees weights that are not those of predict, answers where there can be none, and none where there is one."""
    made = context()
    deployment = Single("w1").deploy(made)
    with pytest.raises(AssertionError, match="otherwise than predict"):
        check_bundle(replace(deployment, answers=deployment.answers + 1), made.dataset.test)
    hasty = MoDNN("hub", execution="halo", **DEGRADE).deploy(made)
    hasty.on_missing = "wait"
    with pytest.raises(AssertionError, match="answers, but predict raises"):
        check_bundle(hasty, made.dataset.test, is_written=False)
    patient = MoDNN("hub", execution="halo").deploy(made)
    patient.on_missing = "degrade"
    with pytest.raises(AssertionError, match="predict answers, but the executed plan comes to none"):
        check_bundle(patient, made.dataset.test, is_written=False)


def test_what_says_nothing_of_kernels_is_refused():
    made = context()

    class Silent:
        plan = Single("w1").deploy(made).plan

    with pytest.raises(PlanError, match="does not say what runs where"):
        bundled(Silent(), made.dataset.test[:1].inputs)
    copied = pickle.loads(pickle.dumps(Single("w1").deploy(made)))  # noqa: S301 - just pickled here
    with pytest.raises(PlanError, match="deploy the strategy anew"):
        Execution.of_kernels(copied, made.dataset.test[:1].inputs)


def test_networks_of_students_survive_pickling():
    """They come from traced graphs, whose tracer torch makes anew to unpickle them."""
    made = context()
    students = [
        kernel.network for kernel in Ensemble(**FEW).deploy(made).kernels().values() if hasattr(kernel, "network")
    ]
    from edgesim.nn.cost.surgery import up_to

    network = up_to(made.network, made.dataset.inputs, "4")
    copied = pickle.loads(pickle.dumps(network))  # noqa: S301 - just pickled here
    x = torch.from_numpy(made.dataset.test.only)
    assert len(students) == 2
    assert np.array_equal(copied(x).detach(), network(x).detach())

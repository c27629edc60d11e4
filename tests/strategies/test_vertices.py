"""Vertices of graphs divided over devices: bytes, work, and the fixed point with messages lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from rings import drawn

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.errors import PlanError
from edgesim.nn.models.reservoirs import FDGNN
from edgesim.nn.train.training import forward
from edgesim.nn.vertices.divided_graphs import DividedGraphs, owners
from edgesim.strategies.graphs.rounds import exchange_id, gather_id, scatter_id
from edgesim.strategies.graphs.vertices import Vertices
from edgesim.tasks.classification import Classification
from edgesim.testing import check_strategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.interfaces import DeploymentContext

WAIT = Vertices(owner="hub", workers="w*")
DEGRADE = Vertices(owner="hub", workers="w*", on_missing="degrade", step_deadline_s=0.05)
ITERATIONS, LAYERS, UNITS = 5, 2, 8


def path(n_vertices: int, n_graphs: int = 6) -> Dataset:
    """The same path of vertices again and again."""
    vertices = np.ones((n_graphs, n_vertices, 1), np.float32)
    adjacency = np.zeros((n_graphs, n_vertices, n_vertices), np.uint8)
    for one in range(n_vertices - 1):
        adjacency[:, one, one + 1] = adjacency[:, one + 1, one] = 1
    split = Samples({"vertices": vertices, "adjacency": adjacency}, np.arange(n_graphs) % 2)
    return Dataset("paths", split, split, split, Classification(2), "none", "drawn")


def deployed(make: Callable[..., DeploymentContext], dataset: Dataset, n_workers: int, **options: object):
    """A solved network on the data, in a context with so many workers."""
    torch.manual_seed(0)
    model = FDGNN(**{"units": UNITS, "features": 4, "rho": 0.6, "iterations": ITERATIONS, "tolerance": 3.0, **options})
    network = model.build(dataset.inputs, dataset.task.output).eval()
    network.solve(dataset)
    torch.nn.init.normal_(network.head.weight)  # equal graphs of two classes teach nothing
    return make([1.0] * n_workers, network=network, dataset=dataset)


@pytest.mark.parametrize("reservoirs", [1, 2])
@pytest.mark.parametrize("strategy", [WAIT, DEGRADE], ids=["wait", "degrade"])
def test_it_keeps_the_promises_of_strategies(make_context, strategy: Vertices, reservoirs: int) -> None:
    """With everything delivered it is the whole network."""
    context = deployed(make_context, drawn(18, 7), 3, reservoirs=reservoirs)
    check_strategy(strategy, context, tolerance=1e-5)
    with pytest.raises(PlanError, match="no graph has just these to send"):
        strategy.deploy(context).kernels()


def test_one_round_and_more_devices_than_vertices_are_fine(make_context) -> None:
    for dataset, n_workers, iterations in ((drawn(12), 3, 1), (path(2), 4, 4)):
        context = deployed(make_context, dataset, n_workers, iterations=iterations)
        check_strategy(DEGRADE, context, tolerance=1e-5)


def test_runs_are_in_breadth_first_order() -> None:
    """A path numbered at random is cut twice, into runs of 3, 3 and 2."""
    order = np.random.default_rng(3).permutation(8)
    adjacency = path(8).test.inputs["adjacency"][0][order][:, order]
    device_of = owners(adjacency, 3)
    assert np.bincount(device_of).tolist() == [3, 3, 2]
    assert sum(device_of[one] != device_of[other] for one, other in np.argwhere(adjacency)) == 2 * 2


def test_a_state_is_sent_once_to_a_device_and_edges_are_counted_by_hand() -> None:
    """A star of four: the middle goes to both others once, each point to the middle's device."""
    adjacency = np.zeros((1, 4, 4), np.uint8)
    adjacency[0, 0, 1:] = adjacency[0, 1:, 0] = 1
    graphs = DividedGraphs.divided(np.ones((1, 4, 1), np.float32), adjacency, 2)
    # breadth-first from point 1: 1, 0 | 2, 3
    assert graphs.device_of.tolist() == [0, 0, 1, 1]
    assert graphs.n_sent().tolist() == [[0, 1], [2, 0]]
    assert graphs.n_cut_edges() == 2
    twice = DividedGraphs.divided(np.ones((2, 4, 1), np.float32), np.concatenate([adjacency, 0 * adjacency]), 2)
    assert twice.n_sent().tolist() == [[0, 0.5], [1, 0]]


def test_every_iteration_sends_the_states_along_cut_edges(make_context) -> None:
    """A path of 6 over 3 devices: two cut edges, one state of 8 numbers each way, in all iterations but the first of each layer."""
    plan = WAIT.deploy(deployed(make_context, path(6), 3)).plan
    states = [step for step in plan.transfers if step.kind == "intermediate"]
    assert {step.size_byte for step in states} == {4 * UNITS}
    assert len(states) == LAYERS * (ITERATIONS - 1) * 4
    pairs = {(step.src_id, step.dst_id) for step in states}
    assert pairs == {("w1", "w2"), ("w2", "w1"), ("w2", "w3"), ("w3", "w2")}
    rest = {(step.kind, step.size_byte) for step in plan.transfers if step.kind != "intermediate"}
    assert rest == {("input", 2 * (4 * 1 + 6)), ("result", 4 * UNITS)}  # two vertices: a feature and six entries
    twice = WAIT.deploy(deployed(make_context, path(6), 3, reservoirs=2)).plan
    assert {step.size_byte for step in twice.transfers if step.kind == "intermediate"} == {2 * 4 * UNITS}


def test_work_of_all_devices_is_that_of_the_whole_network(make_context) -> None:
    """Per iteration, times the iterations; the owner adds the sums of the devices besides, and copies no features."""
    for iterations in (1, 3, 6):
        context = deployed(make_context, drawn(12), 3, iterations=iterations, reservoirs=2)
        plan = WAIT.deploy(context).plan
        found = sum(layer.work_flop for step in plan.computes for layer in step.work)
        features = 2 * 4
        whole = sum(layer.work_flop for layer in context.graph.layers) - features  # concatenated
        assert found == pytest.approx(whole + 2 * 3 * UNITS, rel=1e-12)
        weights = sum(value.numel() for value in context.network.parameters())
        layers = sum(value.numel() for one in context.network.layers() for layer in one for value in layer.parameters())
        assert plan.weight_byte == {
            **dict.fromkeys(("w1", "w2", "w3"), 4 * (layers + 1)),
            "hub": 4 * (weights - layers),
        }


def test_a_lost_message_of_the_last_round_leaves_the_state_before(make_context) -> None:
    """One layer, two devices, by hand in numpy."""
    dataset = path(4)
    context = deployed(make_context, dataset, 2, layers=1)
    network = context.network
    layer, scale = network.layers()[0][0], float(network.neighbours.scale)
    entering, recurrent = (one.weight.numpy().T for one in (layer.entering, layer.round.recurrent))
    drive, edges = dataset.test.inputs["vertices"][0] @ entering, dataset.test.inputs["adjacency"][0] * scale
    history = [np.tanh(drive)]
    for _ in range(ITERATIONS - 1):
        history.append(np.tanh(drive + edges @ history[-1] @ recurrent))
    states = history[-1].copy()
    stale = history[-2].copy()
    stale[1] = history[-3][1]  # vertices 0 and 1 are w1's; 2 reads 1
    states[2] = np.tanh(drive + edges @ stale @ recurrent)[2]
    reservoir = network.reservoirs()[0]
    wanted = (
        np.tanh(states.sum(axis=0) @ reservoir.projection.weight.numpy().T) @ network.head.weight.detach().numpy().T
    )
    wanted = wanted + network.head.bias.detach().numpy()
    lost = exchange_id(0, ITERATIONS - 1, "w1", "w2")
    found = DEGRADE.deploy(context).predict(Delivery(frozenset({lost})))
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-5)
    assert np.abs(found - forward(network, dataset.test.inputs)).max() > 1e-6


def test_what_is_lost_early_is_made_good_by_later_messages_and_a_silent_neighbour_is_not(make_context) -> None:
    """The fixed point forgets where it came from; a device that never speaks is as if its vertices were 0."""
    context = deployed(make_context, path(6), 3, layers=1, iterations=40)
    deployment = DEGRADE.deploy(context)
    whole = deployment.predict(Delivery())
    early = {exchange_id(0, number, "w1", "w2") for number in range(1, 10)}
    np.testing.assert_allclose(deployment.predict(Delivery(frozenset(early))), whole, rtol=0, atol=1e-4)
    never = {exchange_id(0, number, "w1", "w2") for number in range(1, 40)}
    assert np.abs(deployment.predict(Delivery(frozenset(never))) - whole).max() > 1e-3


def test_a_device_without_vertices_is_as_if_all_that_it_sends_were_lost(make_context) -> None:
    deployment = DEGRADE.deploy(deployed(make_context, drawn(18), 3))
    sent = {step.step_id for step in deployment.plan.transfers if step.src_id == "w2"}
    assert gather_id("w2") in sent
    one, other = (deployment.predict(Delivery(frozenset(lost))) for lost in ({scatter_id("w2")}, sent))
    assert np.array_equal(one, other)
    nobody = deployment.predict(Delivery(frozenset(scatter_id(name) for name in ("w1", "w2", "w3"))))
    assert np.ptp(nobody, axis=0).max() == 0


def test_options_that_do_not_go_together_are_refused(make_context) -> None:
    topology = make_context().topology
    for options in ({"on_missing": "degrade"}, {"step_deadline_s": 0.1}):
        with pytest.raises(PlanError, match="step_deadline goes with on_missing 'degrade'"):
            Vertices(**options).check(topology)
    with pytest.raises(PlanError, match="'x\\*' matches no device"):
        replace(WAIT, workers="x*").check(topology)
    with pytest.raises(PlanError, match="matches no device but the owner"):
        replace(WAIT, workers="hub").deploy(deployed(make_context, path(4), 2))
    with pytest.raises(PlanError, match="Sequential; take the model fdgnn"):
        WAIT.deploy(make_context())

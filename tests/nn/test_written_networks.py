"""Networks as users write them are counted, run whole, and cut over 2, 4 and 8 devices with the answers of the whole network."""

from __future__ import annotations

import pickle

import networks as page
import numpy as np
import pytest
import torch
from written import NETWORKS
from written.published import PUBLISHED

from edgesim.domain.delivery import Delivery
from edgesim.errors import PlanError
from edgesim.nn.cost.layers import measure
from edgesim.nn.cut.staging import staged

CASES = [
    (name, list(page.WAYS)[number % len(page.WAYS)], page.DEVICES[number % len(page.DEVICES)])
    for number, name in enumerate(NETWORKS)
] + [
    (name, "tensor", 8) for name in ("ViT", "GPT", "Llama", "Swin")
]  # `benchmarks/networks.py` asks all of them in all ways


def made(name: str):
    make, inputs = NETWORKS[name]
    torch.manual_seed(0)
    return make().eval(), inputs, page.samples(inputs)


def test_there_are_at_least_thirty():
    assert len(NETWORKS) >= 30


@pytest.mark.parametrize(("name", "way", "n_devices"), CASES)
def test_counted_and_cut(name, way, n_devices):
    """The answers are those of the whole network, to 1e-4, and what cannot be cut is named."""
    network, inputs, asked = made(name)
    graph = measure(network, inputs)
    assert graph.work_flop > 0
    deployed = page.deploy(network, asked, n_devices, way)
    assert page.difference(deployed.predict(Delivery()), page.answer(network, asked)) < page.TOLERANCE
    assert deployed.describe()["uncut"] == list(deployed.network.uncut)


@pytest.mark.parametrize(("name", "named"), [
    ("GRU classifier", r"'gru' \(GRU\)"), ("LSTM classifier", r"'lstm' \(LSTM\)"),
    ("U-Net, transposed convolutions", r"'up1' \(ConvTranspose2d\), 'up2' \(ConvTranspose2d\)"),
])  # fmt: skip
def test_what_stays_with_the_owner_is_named(name, named):
    """Refused by name; with `uncut: owner` it is described."""
    network, _, asked = made(name)
    context = page.context(network, asked, 3)
    with pytest.raises(PlanError, match=f"cannot cut {named}; set uncut: owner"):
        page.MoDNN("hub").deploy(context)
    described = page.MoDNN("hub", uncut="owner").deploy(context).describe()
    assert all(text.split("'")[1] in described["layers_of_owner"] for text in described["uncut"])
    assert described["uncut"]


def test_a_transformer_block_has_two_gathers():
    """Each of three workers gets the 16 x 16 tokens of a block twice and returns as much, of 4 byte: heads and features stay apart."""
    network, _, asked = made("GPT")
    deployed = page.deploy(network, asked, 4, "tensor")
    ids = [transfer.step_id for transfer in deployed.plan.transfers if transfer.dst_id == "hub"]
    assert sum("/gather/w1" in step_id for step_id in ids) == 2 * 2 + 1  # two blocks, and the logits
    assert not any("/exchange" in transfer.step_id for transfer in deployed.plan.transfers)
    inside = [transfer for transfer in deployed.plan.transfers if "lm_head" not in transfer.step_id]
    assert {transfer.size_byte for transfer in inside} == {16 * 16 * 4}
    work_flop = sum(
        work.work_flop for step in deployed.plan.computes for work in step.work if work.operator == "linear"
    )
    whole = sum(layer.work_flop for layer in measure(network, NETWORKS["GPT"][1]).layers if layer.operator == "linear")
    assert work_flop == pytest.approx(whole)


def test_heads_follow_speeds_and_weights_follow_heads():
    """Four heads over a hub and a worker of the same speed: two each, half of the weights of the attention."""
    network, _, asked = made("ViT")
    deployed = page.deploy(network, asked, 2, "tensor")
    section = next(cut.stage for cut in deployed.stages if cut.stage.n_granules == 4)
    assert section.layers[-1].starts == (0, 8, 16)
    held_byte = sum(
        size
        for layer in section.layers
        for size in layer.weights_of(deployed.stages[1].schedule.boxes[layer.name][0]).values()
    )
    assert held_byte == 4 * (3 * (16 + 1) * 8 + 16 * 8)


def test_a_lost_partial_sum_adds_nothing():
    """An MLP whose second half of the hidden features is lost: the network with zeros in their place."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    asked = page.samples((6,))
    deployed = page.deploy(network, asked, 2, "tensor", on_missing="degrade", step_deadline_s=1.0)
    gather = next(t.step_id for t in deployed.plan.transfers if "/gather/" in t.step_id)
    hidden = np.maximum(asked.only @ network[0].weight.detach().numpy().T + network[0].bias.detach().numpy(), 0)
    hidden[:, 4:] = 0
    expected = hidden @ network[2].weight.detach().numpy().T + network[2].bias.detach().numpy()
    np.testing.assert_allclose(deployed.predict(Delivery(frozenset({gather}))), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_work_of_published_architectures(name):
    """Within 1 % of the published figure, or explained."""
    published = PUBLISHED[name]
    with torch.device("meta"):
        network = published.make()
    layers = measure(network, published.inputs).layers
    gigaflop = sum(layer.work_flop for layer in layers if layer.operator != "other") / 1e9
    if published.explained:
        assert gigaflop == pytest.approx(2 * (6.738415616 - 0.131072), rel=1e-3)
    else:
        assert gigaflop == pytest.approx(published.gigaflop, rel=0.01)


@pytest.mark.parametrize("name", ["ViT", "Swin", "GPT", "MobileNet v3"])
def test_workers_know_the_layers_by_the_same_names(name):
    """A network that was pickled has the nodes that its stages name, in order: else losses in it would be lost on another process."""
    network, inputs, _ = made(name)
    cut_up = staged(network, inputs, "tensor", n_devices=4)
    copied = pickle.loads(pickle.dumps(cut_up))  # noqa: S301 - our own
    assert [node.name for node in copied.graph.graph.nodes] == [node.name for node in cut_up.graph.graph.nodes]

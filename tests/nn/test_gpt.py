"""A small GPT: what its places see, what it has and does by hand, that it is cut exactly, and that it learns; and its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import DataError, ScenarioError
from edgesim.nn.cost.layers import measure
from edgesim.nn.data.packages.tales import GrimmTales
from edgesim.nn.models.decoders.gpt import GPT
from edgesim.nn.train.sound import check_dataset
from edgesim.strategies.modnn import MoDNN
from edgesim.tasks.next_character import NextCharacter
from edgesim.testing import check_strategy, deployment_context

if TYPE_CHECKING:
    from pathlib import Path

N, LENGTH = 11, 8
INPUTS = {"characters": TensorSpec((LENGTH,), "int32", N)}
OUTPUT = TensorSpec((N, LENGTH))
HEAD = "ATU Topic\tTitle\tAbstract\tContent\tATU Numerical\tATU Type\nd\ts\ts\ts\ts\td\nclass\t\t\t\t\t\n"


def network(**options: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return GPT(**{"blocks": 2, "width": 16, "heads": 4, **options}).build(INPUTS, OUTPUT).eval()


def drawn(n: int = 6) -> Dataset:
    rng = np.random.default_rng(0)
    splits = [
        Samples({"characters": rng.integers(N, size=(n, LENGTH)).astype(np.int32)}, rng.integers(N, size=(n, LENGTH)))
        for _ in range(3)
    ]
    return Dataset("drawn", *splits, NextCharacter(N, LENGTH), "none", "drawn", n_values={"characters": N})


def test_a_place_sees_nothing_behind_itself() -> None:
    """Another character at place 5 changes the answers from there on, and none before."""
    one = torch.from_numpy(drawn().test.only)
    other = one.clone()
    other[:, 5] = (other[:, 5] + 1) % N
    with torch.no_grad():
        off = (network()(one) - network()(other)).abs().amax(dim=(0, 1))
    assert (off[:5] == 0).all()
    assert (off[5:] > 0).all()


def test_kept_keys_and_values_give_the_answers_of_the_whole_text() -> None:
    """Character by character, each attending to what was kept of those before: that is what decoding counts on."""
    net, texts = network(), torch.from_numpy(drawn().test.only)
    kept: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = [([], []) for _ in net.blocks]
    with torch.no_grad():
        for place in range(LENGTH):
            x = net.embedding(texts[:, place : place + 1]) + net.positions[place]
            for block, (keys, values) in zip(net.blocks, kept, strict=True):
                normed = block.norm1(x)
                q, k, v = (layer(normed).view(len(texts), 4, 4) for layer in (block.q, block.k, block.v))
                keys.append(k)
                values.append(v)
                weights = (torch.einsum("nhd,tnhd->nht", q, torch.stack(keys)) / 2).softmax(-1)  # 2 = sqrt(4)
                read = torch.einsum("nht,tnhd->nhd", weights, torch.stack(values))
                x = x + block.o(read.reshape(len(texts), 1, 16))
                x = x + block.narrow(block.gelu(block.wide(block.norm2(x))))
            answers = net.head(net.norm(x))[:, 0]
            assert (answers - net(texts)[:, :, place]).abs().max() < 1e-5


def test_parameters_and_work_by_hand() -> None:
    """Width 16, 8 places, 11 characters, 2 blocks: 12 w^2 + 9 w in a block besides 4 w of its normalisations; matrices of 24 w^2 FLOP a place."""
    width = 16
    n_parameters = sum(parameter.numel() for parameter in network().parameters())
    assert n_parameters == N * width + LENGTH * width + 2 * (12 * width**2 + 9 * width) + 2 * width + width * N
    graph = measure(network(), INPUTS)
    matrices = sum(layer.work_flop for layer in graph.layers if layer.operator == "linear")
    products = 2 * 2 * 2 * LENGTH**2 * width  # q with k, weights with v, in each block
    assert matrices == LENGTH * (2 * 24 * width**2 + 2 * width * N) + products


@pytest.mark.parametrize(("execution", "cut"), [("tensor", "strips"), ("halo", "strips"), ("mapreduce", "channels")])
def test_it_is_cut_exactly(execution: str, cut: str) -> None:
    """The answers of the whole network from four devices, by heads, by places, by channels."""
    profile = DeviceProfile(
        "x", dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9), 1e10, 0, 2**30, 1, 2, 2, 2, "assumed"
    )
    ids = ("w1", "w2", "w3")
    links = [Link(f"{a}->{b}", a, b, 1e7) for i in ids for a, b in (("hub", i), (i, "hub"))]
    star = Topology(tuple(Device(i, profile) for i in ("hub", *ids)), tuple(links))
    context = deployment_context(network(), drawn(), star, source_id="hub", sink_id="hub")
    check_strategy(MoDNN("hub", owner_computes=True, execution=execution, cut=cut), context)  # type: ignore[arg-type]


def test_it_learns_what_repeats() -> None:
    """A text of one period of five: nothing is left to be surprised at but where it begins."""
    text = np.arange(400) % 5 + 1
    starts = np.arange(0, 320, 7)
    samples = torch.from_numpy(np.stack([text[start : start + LENGTH] for start in starts]).astype(np.int32))
    wanted = torch.from_numpy(np.stack([text[start + 1 : start + LENGTH + 1] for start in starts]))
    net, task = network().train(), NextCharacter(N, LENGTH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        task.loss(net(samples), wanted).backward()
        optimizer.step()
    with torch.no_grad():
        assert task.scores[0].of(net.eval()(samples).numpy(), wanted.numpy()) < 0.1


@pytest.mark.parametrize(
    ("inputs", "output", "finding"),
    [
        ({"x": TensorSpec((3,))}, OUTPUT, "gpt takes one input of tokens"),
        (INPUTS, TensorSpec((N,)), "gpt answers at each of the 8 places of a text"),
    ],
)
def test_other_data_is_refused(inputs: dict[str, TensorSpec], output: TensorSpec, finding: str) -> None:
    with pytest.raises(DataError, match=finding):
        GPT().build(inputs, output)


def test_heads_divide_the_width() -> None:
    with pytest.raises(ScenarioError, match="3 heads do not divide a width of 16"):
        GPT(width=16, heads=3)


def tales(folder: Path, *texts: str) -> GrimmTales:
    rows = [f"kind\ttitle\tsummary\t{text}\t1\ttype" for text in texts]
    (folder / "grimm-tales.tab").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return GrimmTales(str(folder), length=4)


def test_pieces_and_what_follows_by_hand(tmp_path: Path) -> None:
    """Three tales, one for each split (their order with seed 0 is 2, 0, 1): validation the last, the test the first, training the second."""
    dataset = tales(tmp_path, "babaxbab", "abcabcabc-", "cbacbacba").load()
    check_dataset(dataset)
    characters = "\x00-abc"
    written = ["".join(characters[number] for number in row) for row in dataset.train.only]
    assert written == ["abca", "bcab"]
    assert ["".join(characters[number] for number in row) for row in dataset.train.targets] == ["bcab", "cabc"]
    assert dataset.test.only.tolist() == [[3, 2, 3, 2]]
    assert dataset.test.targets.tolist() == [[2, 3, 2, 0]], "x is not in training"
    assert len(dataset.validation) == 2
    assert dataset.task == NextCharacter(5, 4)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("wrong\n", "line 1: expected the columns ATU Topic, Title"),
        (f"{HEAD}a\tb\n", "line 4: expected six columns"),
        (HEAD, "0 tales; expected at least three"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, finding: str) -> None:
    options = tales(tmp_path, "a" * 9, "b" * 9, "c" * 9)
    (tmp_path / "grimm-tales.tab").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=finding):
        options.load()


def test_tales_that_are_too_short_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no tale of some split has 5 characters; give a smaller length"):
        tales(tmp_path, "abcdefgh", "abc", "abcdefgh").load()


def test_the_real_tales_are_those_that_are_known() -> None:
    """Of 54 tales 44 are for training; a network of 0.8 million parameters takes them."""
    try:
        dataset = GrimmTales().load()
    except DataError as error:
        pytest.skip(f"NOT tested on the real tales: {error}")
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [5055, 392, 720]
    model = GPT().build(dataset.inputs, dataset.task.output)
    assert sum(parameter.numel() for parameter in model.parameters()) == 817_920

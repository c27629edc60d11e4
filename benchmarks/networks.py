"""What each strategy does with networks as users write them: `python benchmarks/networks.py` writes docs/networks.md.

The networks are those of benchmarks/written, small, with random weights. Every cell is a deployment in a star of equal devices of which the hub
is one; its answers with everything delivered are compared with those of the network. Takes six minutes of one core.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from written import NETWORKS
from written.published import PUBLISHED

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.samples import Dataset, Samples, inputs_of
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Topology
from edgesim.errors import DataError, EdgesimError
from edgesim.interfaces import DeploymentContext
from edgesim.nn.cost.layers import measure
from edgesim.nn.cost.trace import submodule, trace
from edgesim.nn.parts.activations import filter_activities
from edgesim.nn.tensors import ask, tensors_of
from edgesim.strategies.modnn import MoDNN
from edgesim.tasks.classification import Classification
from edgesim.testing import deployment_context

WAYS: dict[str, dict[str, Any]] = {
    "mapreduce, strips": {}, "mapreduce, channels": {"cut": "channels"}, "halo, strips": {"execution": "halo"},
    "tensor": {"execution": "tensor", "cut": "channels"},
}  # fmt: skip
DEVICES = (2, 4, 8)
TOLERANCE = 1e-4
PAGE = Path(__file__).parents[1] / "docs" / "networks.md"


def samples(inputs: Any, n: int = 2) -> Samples:
    """Draw samples: numbers of a normal distribution, or of 0 to 39 where whole ones are asked for."""
    rng = np.random.default_rng(0)
    drawn = {
        name: rng.integers(0, 40, (n, *spec.shape))
        if spec.dtype == "int64"
        else rng.standard_normal((n, *spec.shape)).astype(np.float32)
        for name, spec in inputs_of(inputs).items()
    }
    return Samples(drawn, np.zeros(n, dtype=np.int64))


def star(n_workers: int) -> Topology:
    """Return a hub and equal workers."""
    rates = dict.fromkeys(("conv", "depthwise", "linear", "other"), 1e9)
    profile = DeviceProfile("same", rates, 1e10, 0.0, 2**30, 1, 2, 2, 2, "assumed")
    ids = [f"w{number}" for number in range(1, n_workers + 1)]
    links = [Link(f"{a}->{b}", a, b, 1e7) for i in ids for a, b in (("hub", i), (i, "hub"))]
    return Topology(tuple(Device(i, profile) for i in ("hub", *ids)), tuple(links))


def context(network: torch.nn.Module, asked: Samples, n_devices: int) -> DeploymentContext:
    """Return where a network is deployed."""
    dataset = Dataset("drawn", asked, asked, asked, Classification(2), "none", "drawn")
    return deployment_context(network, dataset, star(n_devices - 1), source_id="hub", sink_id="hub")


def deploy(network: torch.nn.Module, asked: Samples, n_devices: int, way: str, **options: Any) -> Any:
    """Cut a network over a hub and workers."""
    strategy = MoDNN("hub", owner_computes=True, uncut="owner", **WAYS[way], **options)
    return strategy.deploy(context(network, asked, n_devices))


def answer(network: torch.nn.Module, asked: Samples) -> np.ndarray:
    """Return what the whole network says."""
    with torch.no_grad():
        found: torch.Tensor = ask(network.eval(), tensors_of(asked.inputs))
    return found.numpy()


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def filters(network: torch.nn.Module, inputs: Any, asked: Samples) -> str:
    """Return the last layer but the head whose units can be divided over students, or why none can."""
    expected = answer(network, asked)
    if expected.ndim != 2:
        return "no: the answer is no vector"
    graph = trace(network, inputs)
    names = [
        str(node.target) for node in graph.graph.nodes
        if isinstance(submodule(graph, node), (torch.nn.Linear, torch.nn.modules.conv._ConvNd))  # noqa: SLF001
    ]  # fmt: skip
    for name in reversed(names[:-1]):
        try:
            n_filters = filter_activities(network, name, asked.inputs).shape[1]
        except DataError:
            continue
        return f"`{name}` ({n_filters})"
    return "no layer but the head has units"


def row(name: str) -> list[str]:
    """Return a row of the table."""
    make, inputs = NETWORKS[name]
    torch.manual_seed(0)
    network = make().eval()
    asked = samples(inputs)
    expected = answer(network, asked)
    graph = measure(network, inputs)
    cells = [name, f"{graph.work_flop / 1e6:.3g}", f"{graph.weight_byte / 1e3:.3g}"]
    worst, kept = 0.0, ""
    for way in WAYS:
        cell = ""
        for n_devices in DEVICES:
            try:
                deployed = deploy(network, asked, n_devices, way)
            except EdgesimError as error:
                cell = str(error).removeprefix("modnn: ").split(";")[0]
                break
            worst = max(worst, difference(deployed.predict(Delivery()), expected))
            kept = ", ".join(deployed.network.uncut)
            if n_devices == 4:
                steps = [step for step in deployed.plan.computes if step.device_id != "hub"]
                share = sum(work.work_flop for step in steps for work in step.work) / graph.work_flop
                n_byte = sum(transfer.size_byte for transfer in deployed.plan.transfers)
                cell = f"{n_byte / 1e3:.3g} kB, {share:.0%}"
        cells.append(cell)
    return [*cells, kept or "-", filters(network, inputs, asked), f"{worst:.0e}"]


def counted() -> list[list[str]]:
    """Return published architectures with the work of their convolutions and matrix products."""
    rows = []
    for name, published in PUBLISHED.items():
        with torch.device("meta"):
            network = published.make()
        layers = measure(network, published.inputs).layers
        gigaflop = sum(layer.work_flop for layer in layers if layer.operator != "other") / 1e9
        off = gigaflop / published.gigaflop - 1
        text = f"{published.source}{'; ' if published.explained else ''}{published.explained}"
        rows.append([name, f"{gigaflop:.4g}", f"{published.gigaflop:.4g}", f"{off:+.2%}", text])
    return rows


def table(headers: list[str], rows: list[list[str]]) -> str:
    """Write a table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headers, ["---"] * len(headers), *rows))


def main() -> None:
    """Write the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", help="print rows of these networks only")
    names = arguments.parse_args().names
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = [row(name) for name in NETWORKS if not names or name in names]
    headers = [
        "network",
        "MFLOP",
        "weights kB",
        *WAYS,
        "left to the owner",
        "filters for students",
        "largest difference",
    ]
    if names:
        print(table(headers, found))
        return
    published = table(["architecture", "counted GFLOP", "published GFLOP", "difference", "source"], counted())
    PAGE.write_text(_PAGE.format(n=len(found), networks=table(headers, found), published=published))


_PAGE = """# Networks as users write them

What each strategy does with {n} networks, and what it leaves to one device. Made by `python benchmarks/networks.py`, which has them in
`benchmarks/written`: plain modules of torch, small, with random weights.

## Which strategy takes which network

`single` runs each of them. `modnn` cuts them as the table says, over 4 equal devices of which the hub is one: bytes on the links for one inference, and
the share of the FLOP that the other three compute (an even division would be 75 %). With everything delivered the answers of the cut networks on 2, 4 and
8 devices differ from those of the whole one by at most the last column, relative to the largest number of an answer.

- **mapreduce, strips**: each convolution, linear layer, matrix product and attention by itself, along pixels, tokens or vertices.
- **mapreduce, channels**: the same, along channels, features and attention heads.
- **halo, strips**: in runs, as long as possible; devices send each other rows beyond their own, keys and values, and what else a layer reads.
- **tensor**: linear layers and attention heads by output, the last of a section by input: two gathers for a transformer block.

A large number of bytes is the price of exactness, not a mistake: `halo` cuts a vector of means by nothing, and sums over neighbours need all vertices.

`nonn`, `resilient` and `ensemble` train students of their own, and ask of the network only that it can be trained and that a layer has units to divide: the
column names the last one, with its units. A network whose answer is a map or a sequence is no teacher for them yet. `branches` takes networks that are built of branches (`text-cnn`),
`sample-shards`, `per-target`, `reservoirs` and `vertices` the models that are named with them.

{networks}

## The same from files

Twelve of such networks are written as programs of torch.export and as ONNX files, read again, and compared with the networks they were written from
(`python -m pytest tests/nn/test_network_files.py`): whole and cut over 2, 4 and 8 devices, in one of these four ways after the other, the answers are the same to 1e-4, and the FLOP of
each class of operator are the same. Only a transposed convolution stays with the owner (`docs/bring-your-network.md`).

## What stays with the owner

- **Recurrent networks** (`GRU`, `LSTM`): each step reads the whole state of the step before.
- **Transposed convolutions**, convolutions with other padding than zeros, convolutions whose weights are computed: not divided yet.
- Looking up vectors of tokens, resampling, maxima over an axis with their places, and what moves elements between samples (windows in the batch): no
  products, so they are not refused, and the owner does them. With `halo` they end a run.

A convolution or matrix product among them is refused by name unless `modnn` has `uncut: owner`. `edgesim plan` shows all that the owner does, step by step.

## Counted work against published figures

FLOP of convolutions and matrix products, two for a multiply-add; normalisations, activations and sums, which edgesim counts too (`docs/model.md`), are
left out as in the sources.

{published}
"""

if __name__ == "__main__":
    main()

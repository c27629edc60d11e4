"""Networks in files of torch.export and ONNX: the same answers and the same work as the networks they were written from."""

import warnings
from pathlib import Path
from typing import Any

import networks as page
import numpy as np
import pytest
import torch
from torch import nn
from twelve_networks import TWELVE, made, samples

from edgesim.domain.delivery import Delivery
from edgesim.domain.networks.costs import ModelGraph
from edgesim.domain.networks.samples import Inputs, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import NetworkError
from edgesim.nn.cost.layers import measure
from edgesim.nn.models.brought.files import Exported, Onnx

onnx = pytest.importorskip("onnx")


def write_onnx(network: torch.nn.Module, some: torch.Tensor, path: Path, **options: Any) -> None:
    """Write a network as it is: batch normalisation is not folded into convolutions."""
    given: dict[str, Any] = {
        "dynamic_axes": {"x": {0: "n"}},
        "opset_version": 20,
        "do_constant_folding": False,
        **options,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (some,), path, dynamo=False, input_names=["x"], training=torch.onnx.TrainingMode.PRESERVE,
            **given,
        )  # fmt: skip


def write_program(network: torch.nn.Module, some: torch.Tensor, path: Path, *, is_dynamic: bool = True) -> None:
    shapes = ({0: torch.export.Dim("samples")},) if is_dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(network, (some,), dynamic_shapes=shapes), path)


def inputs_of(name: str, shape: tuple[int, ...]) -> Inputs:
    return {"x": TensorSpec(shape, "int64", 20) if name == "text-cnn" else TensorSpec(shape)}


def work_of(graph: ModelGraph) -> dict[str, float]:
    """Return the work by class of operator."""
    work: dict[str, float] = {}
    for layer in graph.layers:
        work[layer.operator] = work.get(layer.operator, 0) + layer.work_flop
    return work


@pytest.mark.parametrize("name", TWELVE)
@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_a_file_answers_as_the_network_works_as_much_and_is_cut_alike(kind: str, name: str, tmp_path: Path) -> None:
    """The answers are those of the network: of the whole file, and of the file cut over 2, 4 and 8 devices in one way after the other."""
    network, shape = made(name)
    path = tmp_path / ("net.pt2" if kind == "exported" else "net.onnx")
    (write_program if kind == "exported" else write_onnx)(network, samples(name, shape, 2), path)
    builder = Exported(str(path)) if kind == "exported" else Onnx(str(path))
    read = builder.build(inputs_of(name, shape), TensorSpec((10,)))
    some = samples(name, shape, 5)
    with torch.no_grad():
        wanted, found = network(some), read(some)
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
    of_network, of_file = (measure(one, inputs_of(name, shape)) for one in (network, read))
    assert work_of(of_file) == work_of(of_network)
    asked, first = (
        Samples({"x": some.numpy()}, np.zeros(5, dtype=np.int64)),
        list(TWELVE).index(name) + 2 * (kind == "onnx"),
    )
    for number, n_devices in enumerate(page.DEVICES, first):
        deployed = page.deploy(read, asked, n_devices, list(page.WAYS)[number % len(page.WAYS)])
        assert page.difference(deployed.predict(Delivery()), wanted.numpy()) < page.TOLERANCE
        uncut = {"'up' (ConvTranspose2d)"} if name == "u-net" else set()
        assert set(deployed.network.uncut) == uncut
        by_workers = sum(
            work.work_flop for step in deployed.plan.computes if step.device_id != "hub" for work in step.work
        )
        assert by_workers > 0.3 * of_file.work_flop


class Recurrent(nn.Module):
    """The answer is of the last step, or of the last states."""

    def __init__(self, kind: Any, *, of_states: bool = False, **options: Any) -> None:
        super().__init__()
        self.rnn = kind(3, 5, **options)
        self.fc = nn.Linear(5 * (2 if options.get("bidirectional") and not of_states else 1), 4)
        self.of_states, self.is_first = of_states, options.get("batch_first", False)

    def forward(self, x: torch.Tensor) -> Any:
        steps, states = self.rnn(x if self.is_first else x.transpose(0, 1))
        if self.of_states:
            return self.fc((states[0] if isinstance(states, tuple) else states)[-1])
        return self.fc(steps[:, -1] if self.is_first else steps.mean(0))


class Summing(nn.Module):
    """Attention and a projection as Einstein sums."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.fc = nn.Parameter(torch.randn(3, 2, 4)), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        heads = torch.einsum("bti,ihj->bhtj", x, self.wide)
        weights = torch.einsum("bhtj, bhsj -> bhts", heads, heads).softmax(-1)
        return self.fc(torch.einsum("bhts,bhsj->btj", weights, heads).amax(1))


RECURRENT: dict[str, Any] = {
    "gru": lambda: Recurrent(nn.GRU, batch_first=True),
    "gru, two layers in both directions": lambda: Recurrent(nn.GRU, num_layers=2, bidirectional=True, batch_first=True),
    "gru without bias, states": lambda: Recurrent(nn.GRU, of_states=True, bias=False, batch_first=True),
    "lstm, steps first": lambda: Recurrent(nn.LSTM),
    "lstm in both directions, states": lambda: Recurrent(nn.LSTM, of_states=True, bidirectional=True),
    "rnn": lambda: Recurrent(nn.RNN, batch_first=True),
    "einsum": Summing,
}


@pytest.mark.parametrize(
    "options", [{}, {"do_constant_folding": True}, {"dynamic_axes": None}], ids=["as it is", "folded", "of one"]
)
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_operators_and_einstein_sums_of_onnx(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, path = RECURRENT[name]().eval(), tmp_path / "net.onnx"
    write_onnx(network, torch.randn(1 if "dynamic_axes" in options else 2, 6, 3), path, **options)
    read, some = Onnx(str(path)).build({"x": TensorSpec((6, 3))}, TensorSpec((4,))), torch.randn(5, 6, 3)
    with torch.no_grad():
        assert torch.allclose(read(some), network(some), rtol=1e-4, atol=1e-6)
    of_network, of_file = (measure(one, (6, 3)) for one in (network, read))
    assert work_of(of_file) == work_of(of_network)
    assert of_file.weight_byte == of_network.weight_byte


def rnn_file(folder: Path, kind: str, gates: int, **attributes: Any) -> tuple[Path, list[Any]]:
    """Write one recurrent operator with first states that are not zeros, and return its weights too."""
    draws = torch.Generator().manual_seed(3)
    shapes = {"w": (1, gates * 5, 3), "r": (1, gates * 5, 5), "b": (1, 2 * gates * 5), "h": (1, 1, 5), "c": (1, 1, 5)}
    weights = {
        name: torch.randn(shape, generator=draws) for name, shape in shapes.items() if name != "c" or kind == "LSTM"
    }
    make = onnx.helper
    nodes = [
        make.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        make.make_node(
            kind,
            ["steps", "w", "r", "b", "", *[one for one in ("h", "c") if one in weights]],
            ["y", "last"],
            "/rnn/" + kind,
            hidden_size=5,
            **attributes,
        ),
        make.make_node("Squeeze", ["last", "first"], ["answer"]),
    ]
    known = [onnx.numpy_helper.from_array(one.numpy(), name) for name, one in weights.items()]
    known.append(onnx.numpy_helper.from_array(torch.tensor([0]).numpy(), "first"))
    graph = make.make_graph(
        nodes,
        kind,
        [make.make_tensor_value_info("x", 1, ["n", 6, 3])],
        [make.make_tensor_value_info("answer", 1, ["n", 5])],
        known,
    )
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 20)]), folder / "rnn.onnx")
    return folder / "rnn.onnx", [one[0].double() for one in weights.values()]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_recurrent_operator_by_the_formulas_of_onnx(direction: str, tmp_path: Path) -> None:
    """Gates in the order of ONNX: update, reset, hidden; input, output, forget, cell."""
    path, (w, r, b, h) = rnn_file(tmp_path, "GRU", 3, direction=direction, linear_before_reset=1)
    some = torch.randn(4, 6, 3)
    steps = some.double().unbind(1)
    for x in steps if direction == "forward" else steps[::-1]:
        z, reset, _ = ((x @ w.T + h @ r.T + b[:15] + b[15:]).sigmoid()).chunk(3, 1)
        hidden = torch.tanh(x @ w[10:].T + b[10:15] + reset * (h @ r[10:].T + b[25:]))
        h = (1 - z) * hidden + z * h
    answer = Onnx(str(path)).build({"x": TensorSpec((6, 3))}, TensorSpec((5,)))
    assert "rnn" in dict(answer.named_children())
    assert torch.allclose(answer(some).double(), h, atol=1e-5)
    path, (w, r, b, h, c) = rnn_file(tmp_path, "LSTM", 4, direction=direction)
    for x in steps if direction == "forward" else steps[::-1]:
        i, o, f, g = (x @ w.T + h @ r.T + b[:20] + b[20:]).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    answer = Onnx(str(path)).build({"x": TensorSpec((6, 3))}, TensorSpec((5,)))
    assert torch.allclose(answer(some).double(), h, atol=1e-5)


@pytest.mark.parametrize(("options", "words"), [
    ({}, "it resets before the product, and torch behind it; set linear_before_reset to 1"),
    ({"linear_before_reset": 1, "activations": ["Sigmoid", "Relu"]}, "its activations are not those of torch"),
    ({"linear_before_reset": 1, "clip": 1.0}, "its activations"), ({"linear_before_reset": 1, "layout": 1}, "it has layout 1"),
])  # fmt: skip
def test_recurrent_operators_that_torch_has_not_are_refused(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path, _ = rnn_file(tmp_path, "GRU", 3, **options)
    with pytest.raises(NetworkError, match=rf"node '/rnn/GRU' \(GRU\) cannot be converted: {words}"):
        Onnx(str(path)).build({"x": TensorSpec((6, 3))}, TensorSpec((5,)))


@pytest.mark.parametrize("name", ["residual", "shuffling", "vit", "mlp"])
def test_a_file_that_was_written_for_one_sample_answers_many(name: str, tmp_path: Path) -> None:
    network, shape = made(name)
    write_onnx(network, samples(name, shape, 1), tmp_path / "one.onnx", dynamic_axes=None)
    write_program(network, samples(name, shape, 1), tmp_path / "one.pt2", is_dynamic=False)
    some = samples(name, shape, 5)
    for builder in (Onnx(str(tmp_path / "one.onnx")), Exported(str(tmp_path / "one.pt2"))):
        read = builder.build(inputs_of(name, shape), TensorSpec((10,)))
        with torch.no_grad():
            assert torch.allclose(read(some), network(some), rtol=1e-4, atol=1e-5)


def test_a_program_for_more_samples_at_a_time_is_refused(tmp_path: Path) -> None:
    network, shape = made("mlp")
    write_program(network, samples("mlp", shape, 2), tmp_path / "two.pt2", is_dynamic=False)
    with pytest.raises(NetworkError, match=r"exactly 2 samples at a time; export it with a dynamic first axis"):
        Exported(str(tmp_path / "two.pt2")).build(inputs_of("mlp", shape), TensorSpec((10,)))


def onnx_file(folder: Path, name: str = "squeezing") -> tuple[Path, tuple[int, ...]]:
    network, shape = made(name)
    path = folder / "net.onnx"
    write_onnx(network, samples(name, shape, 2), path)
    return path, shape


def refused(path: Path, shape: tuple[int, ...]) -> str:
    with pytest.raises(NetworkError) as caught:
        Onnx(str(path)).build({"x": TensorSpec(shape)}, TensorSpec((10,)))
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_all_unknown_operators_are_named_with_their_nodes(tmp_path: Path) -> None:
    path, shape = onnx_file(tmp_path)
    model = onnx.load(path)
    model.graph.node[0].op_type = "Sorcery"
    last = model.graph.node[-1]
    last.op_type, last.domain, last.name = "Own", "com.example", "the_last"
    onnx.save(model, path)
    text = refused(path, shape)
    assert f"node {model.graph.node[0].name!r}: Sorcery" in text
    assert "node 'the_last': com.example.Own" in text


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    path, shape = onnx_file(tmp_path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    assert Onnx(str(path)).build({"x": TensorSpec(shape)}, TensorSpec((10,))) is not None
    (tmp_path / "net.data").write_bytes(b"\0" * 10)
    assert "net.data cannot be read" in refused(path, shape)
    (tmp_path / "net.data").unlink()
    assert f"files that are not there: net.data; put them into {tmp_path}" in refused(path, shape)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../outside.data" if entry.key == "location" else entry.value
    onnx.save(model, path)
    assert "outside its folder: ../outside.data" in refused(path, shape)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path, shape = onnx_file(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged or cut short" in refused(path, shape)
    network, shape = made("mlp")
    write_program(network, samples("mlp", shape, 2), tmp_path / "net.pt2")
    content = (tmp_path / "net.pt2").read_bytes()
    for cut in (content[: len(content) // 2], b"", b"no archive"):
        (tmp_path / "net.pt2").write_bytes(cut)
        with pytest.raises(NetworkError, match="damaged or cut short, or no program"):
            Exported(str(tmp_path / "net.pt2")).build(inputs_of("mlp", shape), TensorSpec((10,)))


def test_data_of_another_shape_are_refused(tmp_path: Path) -> None:
    path, _ = onnx_file(tmp_path)
    assert "takes samples of shape (3, 8, 8), but the data set gives (1, 8, 8)" in refused(path, (1, 8, 8))

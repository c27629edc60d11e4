"""Networks in files of torch.export and ONNX: the same answers and the same work as the networks they were written from."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from twelve_networks import TWELVE, made, samples

from edgesim.domain.networks.samples import Inputs
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import NetworkError
from edgesim.nn.cost.layers import measure
from edgesim.nn.models.brought.files import Exported, Onnx

onnx = pytest.importorskip("onnx")


def write_onnx(network: torch.nn.Module, some: torch.Tensor, path: Path, **options: Any) -> None:
    """Write a network as it is: batch normalisation is not folded into convolutions."""
    given: dict[str, Any] = {"dynamic_axes": {"x": {0: "n"}}, "opset_version": 20, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (some,), path, dynamo=False, input_names=["x"], training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False, **given,
        )  # fmt: skip


def write_program(network: torch.nn.Module, some: torch.Tensor, path: Path, *, is_dynamic: bool = True) -> None:
    shapes = ({0: torch.export.Dim("samples")},) if is_dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(network, (some,), dynamic_shapes=shapes), path)


def inputs_of(name: str, shape: tuple[int, ...]) -> Inputs:
    return {"x": TensorSpec(shape, "int64", 20) if name == "text-cnn" else TensorSpec(shape)}


@pytest.mark.parametrize("name", TWELVE)
@pytest.mark.parametrize("kind", ["exported", "onnx"])
def test_a_file_answers_as_the_network_and_works_as_much(kind: str, name: str, tmp_path: Path) -> None:
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
    for operator in ("conv", "depthwise", "linear", "other"):
        work = [
            sum(layer.work_flop for layer in graph.layers if layer.operator == operator)
            for graph in (of_network, of_file)
        ]
        assert work[0] == work[1], operator


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

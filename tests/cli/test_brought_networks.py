"""Networks that users bring, over the command line: used as they are, or one finding and exit code 2 with nothing trained."""

import io
import pickle
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import save_file
from torch import nn

from edgesim.cli import main as command

NETWORK = """
import torch
from torch import nn


class Brought(nn.Module):
    def __init__(self, width: int = 6, n_classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Linear(width, n_classes)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class Pair(Brought):
    def forward(self, x):
        return {"logits": super().forward(x), "mean": x.mean((1, 2, 3))}


class Careful(Brought):
    def forward(self, x, mask=None, *, scale: float = 1.0):
        assert x.shape[1] == 1, "grey images"
        if mask is not None:
            x = x * mask
        for _ in range(x.shape[-1] // 8):
            x = x * scale
        return super().forward(x)


class Choosing(Brought):
    def forward(self, x):
        x = self.norm(self.conv(x))
        if x.mean() > 0:
            x = torch.relu(x)
        return self.last(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.gru, self.last = nn.GRU(8, 12, batch_first=True), nn.Linear(12, n_classes)

    def forward(self, x):
        return self.last(self.gru(x.squeeze(1))[0][:, -1])
"""


class Evil:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return (open, ("was_run", "w"))


def brought() -> dict[str, torch.Tensor]:
    space: dict[str, Any] = {}
    exec(NETWORK, space)  # noqa: S102 - the text above
    torch.manual_seed(3)
    network: nn.Module = space["Brought"]()
    return network.state_dict()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "brought_network.py").write_text(NETWORK)
    return tmp_path


def scenario(folder: Path, model: dict[str, Any], strategies: dict[str, Any] | None = None) -> str:
    data = {
        "name": "brought",
        "replications": 2,
        "topology": {
            "devices": [{"id": "hub", "profile": "raspberry-pi-4b"}, {"id": "pi{1..2}", "profile": "raspberry-pi-4b"}],
            "links": [{"between": ["hub", "pi*"], "bandwidth": "1 Gbit/s", "latency": "1 ms"}],
        },
        "workload": {"dataset": "digits", "model": model, "source": "hub", "sink": "hub"},
        "strategies": strategies or {"single": {"device": "hub"}},
    }
    buffer = io.StringIO()
    YAML().dump(data, buffer)
    (folder / "brought.yaml").write_text(buffer.getvalue())
    return "brought.yaml"


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Return exit code and all that is said."""
    with pytest.raises(SystemExit) as caught, mock.patch.object(sys, "argv", ["edgesim", *words]):
        command.main()
    said = capsys.readouterr()
    code = caught.value.code
    assert isinstance(code, int) or code is None
    return code or 0, said.out + said.err


def model(**options: Any) -> dict[str, Any]:
    return {"type": "import", "target": "brought_network:Brought", "training": "none", **options}


def missing(path: Path) -> None:
    pass


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def evil(path: Path) -> None:
    path.write_bytes(pickle.dumps(Evil()))


def evil_archive(path: Path) -> None:
    torch.save(brought(), path)
    kept = {one: zipfile.ZipFile(path).read(one) for one in zipfile.ZipFile(path).namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in kept.items():
            archive.writestr(one, pickle.dumps(Evil()) if one.endswith("data.pkl") else content)


def cut_short_torch(path: Path) -> None:
    torch.save(brought(), path)
    cut_short(path)


def cut_short_safe(path: Path) -> None:
    save_file(brought(), path)
    cut_short(path)


def other(path: Path) -> None:
    state = brought()
    save_file(
        {
            **{name: tensor for name, tensor in state.items() if name != "last.bias"},
            "head": torch.ones(2),
            "last.weight": torch.ones(3, 6),
        },
        path,
    )


def infinite(path: Path) -> None:
    torch.save({**brought(), "last.bias": torch.full((10,), torch.nan)}, path)


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("w.safetensors", other, ("weights of another architecture than Brought: it lacks last.bias", "it has besides head; of other shape are last.weight (3, 6), not (10, 6)",)),
        ("w.pt", evil, ("hold more than numbers", "nothing in them was run", "save the weights alone")),
        ("w.pt", evil_archive, ("hold more than numbers", "nothing in them was run", "save the weights alone")),
        ("w.pt", cut_short_torch, ("are damaged or cut short", "copy the file again")),
        ("w.safetensors", cut_short_safe, ("are damaged or cut short", "copy the file again")),
        ("w.safetensors", missing, ()),
        ("w.pt", infinite, ("'last.bias' has values that are not finite",)),
    ],
)  # fmt: skip
def test_bad_weights_are_one_finding_and_nothing_is_trained(
    name: str, write: Any, words: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / name)
    file = scenario(here, model(weights=name))
    for order in (("validate", "--deep", file), ("run", file)):
        code, text = called(capsys, *order, "--allow-code")
        assert code == 2, text
        flat = " ".join(text.split())
        for word in words:
            assert word in flat
        assert name in flat
        assert "Traceback" not in text
    assert not (here / "was_run").exists()
    assert not list((here / "cache").rglob("*.safetensors"))


def test_weights_are_used_as_they_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgesim.nn.data.datasets import Digits
    from edgesim.nn.models.zoo import Imported

    save_file(brought(), here / "w.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in brought().items()}}, here / "w.pt"
    )
    code, text = called(capsys, "run", scenario(here, model(weights="w.safetensors")), "--allow-code")
    assert code == 0, text
    dataset = Digits().load()
    for name in ("w.safetensors", "w.pt"):
        built = Imported("brought_network:Brought", weights=name, training="none").build(
            dataset.inputs, dataset.task.output
        )
        for key, value in brought().items():
            assert torch.equal(built.state_dict()[key], value)


def test_one_of_several_outputs_is_the_answer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgesim.nn.data.datasets import Digits
    from edgesim.nn.models.zoo import Imported

    save_file(brought(), here / "w.safetensors")
    pair = model(target="brought_network:Pair", weights="w.safetensors")
    code, text = called(capsys, "validate", "--deep", scenario(here, pair), "--allow-code")
    assert code == 2
    assert "gives a dict of logits, mean" in " ".join(text.split())
    code, text = called(capsys, "validate", "--deep", scenario(here, {**pair, "output": "nothing"}), "--allow-code")
    assert code == 2
    assert "without output 'nothing'" in " ".join(text.split())
    code, text = called(capsys, "validate", "--deep", scenario(here, {**pair, "output": "logits"}), "--allow-code")
    assert code == 0, text
    dataset = Digits().load()
    chosen = Imported("brought_network:Pair", weights="w.safetensors", output="logits").build(
        dataset.inputs, dataset.task.output
    )
    alone = Imported("brought_network:Brought", weights="w.safetensors").build(dataset.inputs, dataset.task.output)
    some = torch.from_numpy(dataset.test.only[:3])
    again = pickle.loads(pickle.dumps(chosen))  # noqa: S301 - its own
    assert torch.equal(chosen.eval()(some), alone.eval()(some))
    assert torch.equal(again.eval()(some), alone(some))


def test_branches_on_shapes_are_decided_and_optional_arguments_take_their_defaults(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file(brought(), here / "w.safetensors")
    careful = model(target="brought_network:Careful", weights="w.safetensors")
    code, text = called(capsys, "validate", "--deep", scenario(here, careful), "--allow-code")
    assert code == 0, text
    cut = {"modnn": {"owner": "hub"}}
    code, text = called(capsys, "run", scenario(here, careful, cut), "--allow-code")
    assert code == 0, text


@pytest.mark.parametrize(
    ("name", "filters", "words"),
    [
        ("Choosing", None, (f"brought_network.py:{NETWORK[:NETWORK.index('if x.mean() > 0')].count(chr(10)) + 1}: `if x.mean() > 0:` depends on values", "rewrite it with tensor operations")),
        ("Recurrent", "gru", ("layer 'gru' gives a tuple", "name a layer that gives one",)),
    ],
)  # fmt: skip
def test_a_branch_on_values_and_filters_of_a_tuple_are_one_finding(
    name: str, filters: str | None, words: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is trained: nothing is in the cache."""
    student = {"type": "small-cnn", "channels": [4], "pool_after": 0}
    divided = {"nonn": {"students": 3, "student": student}} if filters else None
    given = {"type": "import", "target": f"brought_network:{name}", **({"filters": filters} if filters else {})}
    file = scenario(here, given, divided)
    for order in (("validate", "--deep", file), ("run", file)):
        code, text = called(capsys, *order, "--allow-code")
        flat = " ".join(text.split())
        assert code == 2, text
        for word in words:
            assert word in flat
        assert "Traceback" not in text
    assert not list((here / "cache").rglob("*.safetensors"))


def whole() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10)).eval()


def onnx_model(path: Path) -> Any:
    onnx = pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            whole(), (torch.randn(2, 1, 8, 8),), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )
    return onnx.load(path)


def unknown_operator(path: Path) -> None:
    written = onnx_model(path)
    next(node for node in written.graph.node if node.op_type == "Relu").op_type = "Sorcery"
    path.write_bytes(written.SerializeToString())


def missing_2_gb(path: Path) -> None:
    written = onnx_model(path)
    weight = next(tensor for tensor in written.graph.initializer if len(tensor.dims) == 2)
    weight.ClearField("raw_data")
    weight.dims[:] = [10, 53_687_092]
    weight.data_location = 1  # outside
    for key, value in (("location", "net.data"), ("offset", "0"), ("length", str(4 * 10 * 53_687_092))):
        weight.external_data.add(key=key, value=value)
    path.write_bytes(written.SerializeToString())


def onnx_cut_short(path: Path) -> None:
    onnx_model(path)
    path.write_bytes(path.read_bytes()[:-400])


def program_cut_short(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(whole(), (torch.randn(2, 1, 8, 8),)), path)
    cut_short(path)


@pytest.mark.parametrize(
    ("name", "write", "words", "remedy"),
    [
        ("net.onnx", unknown_operator, "operators of these nodes are not known here: node '/1/Relu': Sorcery", "or bring it with type: import"),
        ("net.onnx", missing_2_gb, "keeps its weights in files that are not there: net.data", "put them into"),
        ("net.onnx", onnx_cut_short, "is damaged or cut short, or no ONNX", "copy it again, or export it again"),
        ("net.onnx", evil, "is damaged or cut short, or no ONNX", "copy it again, or export it again"),
        ("net.onnx", missing, "cannot be read: No such file", "name a file that is there"),
        ("net.pt2", program_cut_short, "is damaged or cut short, or no program of torch.export", "copy it again, or write it with"),
        ("net.pt2", evil, "is damaged or cut short, or no program of torch.export", "copy it again, or write it with"),
        ("net.pt2", missing, "cannot be read: there is no such file", "name a file that is there"),
    ],
)  # fmt: skip
def test_bad_files_are_one_finding_and_nothing_is_trained(
    name: str, write: Any, words: str, remedy: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / name)
    kind = {"type": "onnx" if name.endswith("onnx") else "exported", "path": name}
    file = scenario(here, kind)
    line = next(n for n, text in enumerate((here / file).read_text().splitlines(), 1) if text.strip() == "model:")
    for order in (("validate", "--deep", file), ("run", file)):
        code, text = called(capsys, *order, "--allow-code")
        assert code == 2, text
        flat = " ".join(text.split())
        assert f"{here / name}" in text.replace("\n", "")
        assert words in flat
        assert remedy in flat
        assert "Traceback" not in text
        if "--deep" in order:
            assert f"brought.yaml:{line}:" in text
            assert "1 finding in 1 file" in text
    assert not (here / "was_run").exists()
    assert not list((here / "cache").rglob("*.safetensors"))

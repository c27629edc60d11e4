"""Folders of devices: what is read executes as what was written, and nothing else is read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.errors import DataError
from edgesim.nn.kernels.program import Runner
from edgesim.strategies.modnn import MoDNN
from edgesim.testbed.bundle import Execution, bundled
from edgesim.testbed.devices import device_bundles
from edgesim.testbed.folder import folder_name, read_device, write_device
from tests.testbed.test_bundle import context


@pytest.fixture(scope="module")
def made():
    where = context()
    deployment = MoDNN("hub", on_missing="degrade", step_deadline_s=0.1).deploy(where)
    return where, deployment, bundled(deployment, where.dataset.test[:1].inputs)


def test_what_is_read_executes_as_what_was_written(made, tmp_path):
    where, _, bundle = made
    programs = {}
    for device_id, written in device_bundles(bundle.plan, bundle.programs).items():
        write_device(written, tmp_path / device_id)
        read = read_device(tmp_path / device_id)
        assert (read.computes, read.sends, read.receives) == (written.computes, written.sends, written.receives)
        programs |= {name: Runner(program) for name, program in read.programs.items()}
    sample = where.dataset.test[:1].inputs
    for lost in ((), ("4/gather/w1",)):
        expected = Execution.of_bundle(bundle).answer(sample, lost)
        np.testing.assert_allclose(
            Execution(bundle.plan, programs).answer(sample, lost), expected, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", ["steps.json", "weights.safetensors"])
def test_a_changed_byte_is_refused(made, tmp_path, name):
    _, _, bundle = made
    write_device(device_bundles(bundle.plan, bundle.programs)["w1"], tmp_path / "w1")
    content = bytearray((tmp_path / "w1" / name).read_bytes())
    content[-2] ^= 1
    (tmp_path / "w1" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is not as it was written"):
        read_device(tmp_path / "w1")


def test_other_files_are_refused(made, tmp_path):
    _, _, bundle = made
    folder = tmp_path / "w1"
    write_device(device_bundles(bundle.plan, bundle.programs)["w1"], folder)
    (folder / "checksums.json").write_text("[]")
    with pytest.raises(DataError, match="holds no checksums"):
        read_device(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(DataError, match="No such file"):
        read_device(folder)


def test_names_stay_within_the_folder():
    assert [folder_name(name) for name in ("w1", "..", "a/b", ".")] == ["w1", "%2E%2E", "a%2Fb", "%2E"]


def test_export_writes_a_folder_for_each_device_and_not_over_another(scenario, tmp_path):
    """The weights of the chain's devices are those of their layers: convolution, and all that follows."""
    result = CliRunner().invoke(app, ["export", str(scenario), str(tmp_path / "out"), "--strategy", "chain"])
    assert result.exception is None, result.exception
    documents = {name: json.loads((tmp_path / "out" / "chain" / name / "steps.json").read_text()) for name in "ab"}
    assert [step["step_id"] for step in documents["a"]["computes"]] == ["layers of a", "arrival"]
    assert [sent["step_id"] for sent in documents["a"]["sends"]] == ["behind conv1"]
    assert documents["b"]["computes"][0]["inputs"] == ["behind conv1"]
    result = CliRunner().invoke(app, ["export", str(scenario), str(tmp_path / "out")])
    assert "is there already" in str(result.exception)

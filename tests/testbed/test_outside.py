"""An exported plan is executed by a program that knows nothing of edgesim, and gives the answers of predict."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from typer.testing import CliRunner

from edgesim.cli.main import app
from edgesim.domain.delivery import Delivery
from edgesim.interfaces import Silent
from edgesim.scenario.scenario import Scenario
from edgesim.testbed.prepared import prepared

PROGRAM = Path(__file__).parents[2] / "examples" / "outside" / "run_bundle.py"
LOST = {"halo": "conv1/gather/b", "chain": "behind conv1"}
"""Who goes on without a message, and who does not."""
OUTSIDE = """
import json, runpy, sys
sys.modules["edgesim"] = None  # an import of it is an error
program = runpy.run_path(sys.argv[1])
import torch
with torch.inference_mode():
    found = [program["answer"](*case) for case in json.loads(sys.argv[2])]
print(json.dumps([None if one is None else one.flatten().tolist() for one in found]))
"""


def test_an_outside_program_executes_the_plan_of_every_strategy(scenario, tmp_path):
    assert CliRunner().invoke(app, ["export", str(scenario), str(tmp_path / "bundles")]).exit_code == 0
    planned = CliRunner().invoke(app, ["plan", str(scenario), "--json"])
    (tmp_path / "plan.json").write_text(planned.stdout)
    strategies = list(prepared(Scenario.load(scenario), (), Silent()))
    sample = strategies[0].context.dataset.test[7:8]
    save_file({name: np.ascontiguousarray(one) for name, one in sample.inputs.items()}, tmp_path / "sample.safetensors")
    cases = [(one.label, ()) for one in strategies] + [(label, (message,)) for label, message in LOST.items()]
    given = [
        [str(tmp_path / "plan.json"), str(tmp_path / "bundles" / label), str(tmp_path / "sample.safetensors"), *lost]
        for label, lost in cases
    ]
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE, str(PROGRAM), json.dumps(given)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [label for (label, _), answer in zip(cases, found, strict=True) if answer is None] == ["chain"]
    deployments = {one.label: one.deployment for one in strategies}
    for (label, lost), answer in zip(cases, found, strict=True):
        if answer is not None:
            expected = deployments[label].predict(Delivery(frozenset(lost)))[7].flatten()
            np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found[3], found[5], atol=1e-3)  # what was lost matters


def test_the_program_is_short_and_imports_nothing_else():
    lines = PROGRAM.read_text().splitlines()
    code = [line for line in lines[lines.index("import json") :] if line.strip()]
    assert len(code) < 60
    assert {line.split()[1].split(".")[0] for line in code if line.startswith(("import", "from"))} == {
        "json", "operator", "sys", "pathlib", "torch", "safetensors",
    }  # fmt: skip

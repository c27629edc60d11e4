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


QUERIES = """
  approxifer: {queries: 2}
  parm: {parity: c, training: {epochs: 1}}
  int8: {type: modnn, owner: a, execution: halo, on_missing: degrade, step_deadline: 0.5 s, messages: {dtype: int8}}
"""


def write(scenario, tmp_path):
    """Write what `plan` and `export` do, and return the strategies."""
    assert CliRunner().invoke(app, ["export", str(scenario), str(tmp_path / "bundles")]).exit_code == 0
    planned = CliRunner().invoke(app, ["plan", str(scenario), "--json"])
    (tmp_path / "plan.json").write_text(planned.stdout)
    return list(prepared(Scenario.load(scenario), (), Silent()))


def executed(tmp_path, cases, sample):
    """Return the answers of the program, each without some messages."""
    save_file({name: np.ascontiguousarray(one) for name, one in sample.inputs.items()}, tmp_path / "sample.safetensors")
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
    return json.loads(done.stdout)


def test_an_outside_program_executes_the_plan_of_every_strategy(scenario, tmp_path):
    strategies = write(scenario, tmp_path)
    sample = strategies[0].context.dataset.test[7:8]
    cases = [(one.label, ()) for one in strategies] + [(label, (message,)) for label, message in LOST.items()]
    found = executed(tmp_path, cases, sample)
    assert [label for (label, _), answer in zip(cases, found, strict=True) if answer is None] == ["chain"]
    deployments = {one.label: one.deployment for one in strategies}
    for (label, lost), answer in zip(cases, found, strict=True):
        if answer is not None:
            expected = deployments[label].predict(Delivery(frozenset(lost)))[7].flatten()
            np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found[3], found[5], atol=1e-3)  # what was lost matters


def test_an_outside_program_asks_about_a_group_of_queries(scenario, tmp_path):
    """Two samples at once, coded and decoded by kernels, also without one of three answers, of which two are enough; and a message of 8 bits a number."""
    head, _, _ = scenario.read_text().partition("strategies:")
    scenario.write_text(f"{head}strategies:{QUERIES}")
    asked = {one.label: one for one in write(scenario, tmp_path)}
    test = asked["parm"].context.dataset.test
    cases = [
        (label, lost)
        for label in ("approxifer", "parm")
        for lost in ((), *((one.step_id,) for one in asked[label].bundle.plan.transfers))
    ]
    found = executed(tmp_path, cases, test[4:6])
    deployments = {label: one.deployment for label, one in asked.items()}
    for (label, lost), answer in zip(cases, found, strict=True):
        assert answer is not None, (label, lost)
        expected = deployments[label].predict(Delivery(frozenset(lost)))[4:6].flatten()
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5, err_msg=f"{label} without {lost}")
    (rounded,) = executed(tmp_path, [("int8", ())], test[4:5])
    expected = deployments["int8"].predict(Delivery(frozenset()))[4].flatten()
    np.testing.assert_allclose(rounded, expected, atol=np.ptp(expected) / 255)


def test_the_program_is_short_and_imports_nothing_else():
    lines = PROGRAM.read_text().splitlines()
    code = [line for line in lines[lines.index("import json") :] if line.strip()]
    assert len(code) <= 60
    assert {line.split()[1].split(".")[0] for line in code if line.startswith(("import", "from"))} == {
        "json", "operator", "sys", "pathlib", "torch", "safetensors",
    }  # fmt: skip

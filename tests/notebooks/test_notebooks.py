"""Every notebook runs from top to bottom, and git holds none of its outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


EXECUTE = """
import sys, nbclient, nbformat
source, target, folder = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
nbformat.write(notebook, target)
"""


N_PICTURES = {
    "failure_study": 0, "first_comparison": 2, "own_network": 0, "own_strategy": 1, "own_topology": 2, "paper_figure": 2,
    "resilient_students": 1,
}  # fmt: skip
"""By notebook, one story each."""


def test_every_notebook_is_known_named_in_the_tutorial_and_a_page() -> None:
    """So that each is found, and looked at."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [path.stem for path in NOTEBOOKS if f": notebooks/{path.stem}.md\n" not in navigation] == []
    assert [path.stem for path in NOTEBOOKS] == sorted(N_PICTURES)
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert [path.stem for path in NOTEBOOKS if path.name not in tutorial] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_stripped(path: Path) -> None:
    """No outputs, no counts of executions, no metadata of an editor."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    """In a kernel of its own, beside folders `models` and `scenarios` as in the repository; its asserts hold, its figures are shown."""
    work = tmp_path / "notebooks"
    work.mkdir()
    for folder in ("models", "scenarios"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    target = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(path), str(target), str(work)],
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "OMP_NUM_THREADS": "1", "PATH": commands},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = nbformat.read(target, as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == N_PICTURES[path.stem]
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert not [
        word for word in ("Traceback", "\nedgesim: ", "command not found", " finding") if word in f"\n{said}"
    ], said

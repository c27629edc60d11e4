"""What the README shows works, and a page shows what a benchmark wrote."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pandas as pd
import pytest

import edgesim

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_scenario_of_the_readme_is_valid() -> None:
    """The YAML block is a valid scenario with the strategies and points it shows."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    scenario = edgesim.Scenario.from_text(text)
    assert list(scenario.strategies) == ["single", "modnn"]
    assert len(scenario.points()) == 3


@pytest.mark.slow
def test_script_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python block, on the YAML block of the file's name."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "two-links.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(code, {})  # noqa: S102 - it is ours
    assert (tmp_path / "tradeoff.pdf").read_bytes().startswith(b"%PDF")
    assert edgesim.Result("results/two-links").is_complete


def test_files_of_the_readme_exist() -> None:
    """Every path of the repository that the README names is there."""
    root = Path(__file__).parent.parent
    named = re.findall(r"`((?:scenarios|docs|tests|edgesim|notebooks|benchmarks)/[\w./-]+)`", README)
    named += re.findall(r"\]\(([\w./-]+)\)", README)
    assert len(named) >= 5
    assert [name for name in named if not (root / name).exists()] == []


def test_make_targets_of_the_readme_exist() -> None:
    """The two commands are targets of the Makefile."""
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE))
    assert targets == {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_the_page_on_layer_partitioning_shows_its_results() -> None:
    """Its table of losses is what the benchmark makes of the results beside it."""
    place = ROOT / "benchmarks" / "layer_partitioning.py"
    spec = importlib.util.spec_from_file_location("layer_partitioning", place)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    table = benchmark.loss_table(pd.read_csv(ROOT / "docs" / "results" / "layer-partitioning.csv"))
    page = (ROOT / "docs" / "layer-partitioning.md").read_text(encoding="utf-8")
    assert "\n".join(table) in page

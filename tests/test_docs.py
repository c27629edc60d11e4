"""What the documentation shows works, and it is complete."""

from __future__ import annotations

import re
import shlex
from itertools import islice
from pathlib import Path

import newcomer
import pytest
from typer.testing import CliRunner

import edgesim
from edgesim.cli.main import app
from edgesim.domain.columns import TRIAL_COLUMNS
from edgesim.domain.metrics import LOAD_METRICS, METRICS, PEOPLE_METRICS, RECOVERY_METRICS, RESOURCE_METRICS
from edgesim.registry import FAILURES, OBJECTIVES, RATES, STRATEGIES
from edgesim.scenario.help.json_schema import json_schema
from edgesim.scenario.help.reference import markdown
from edgesim.testing import check_objective

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The scenario of the tutorial, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(blocks("tutorial.md", "yaml")[0], encoding="utf-8")
    return tmp_path / "study.yaml"


def walked(line: str, folder: Path) -> str:
    """Do a line of the tutorial: write a scenario, or call a command, whose name is returned."""
    if line.startswith("cat > "):
        head, _, text = line.partition("\n")
        (folder / head.split()[2]).write_text(text.removesuffix("END"), encoding="utf-8")
        return "cat"
    words = shlex.split(line)
    assert words[0] == "edgesim"
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, (line, result.output, result.exception)
    return words[1]


def test_every_key_is_in_the_reference() -> None:
    """After a change of the form or of options: `edgesim schema --markdown > docs/reference/keys.md`."""
    page = (DOCS / "reference" / "keys.md").read_text(encoding="utf-8")
    assert page.strip() == markdown(json_schema()).strip()
    for key in (
        "`message_overhead`",
        "strategy `nonn`",
        "failure model `exactly-k`",
        "`workload.load`",
        "`admission_limit`",
    ):
        assert key in page


def test_every_metric_is_in_the_dictionary_with_its_formula() -> None:
    """As `edgesim explain` says it."""
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    for metric in (METRICS | LOAD_METRICS | PEOPLE_METRICS | RECOVERY_METRICS | RESOURCE_METRICS).values():
        row = f"| `{metric.name}` | {metric.unit} | {metric.summary} | {metric.formula} | {metric.validity} |"
        assert row in page, metric.name


def test_every_column_of_the_trials_is_in_the_dictionary() -> None:
    """As it is declared."""
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    for column in TRIAL_COLUMNS:
        assert f"| `{column.name}` | {column.unit} | {column.summary} |" in page, column.name


def test_the_tutorial_runs(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path of `benchmarks/newcomer.py` without clone and `make demo`, its commands in this process; then its Python."""
    study.unlink()
    done = [
        walked(line, study.parent) for line in newcomer.commands() if line not in {"make demo", ". .venv/bin/activate"}
    ]
    assert {"new", "validate", "show", "plan", "run", "plot", "results", "report"} <= set(done)
    assert [name for name in newcomer.MADE if not (study.parent / name).is_file()] == []
    (code,) = blocks("tutorial.md", "python")
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - our own page
    assert "modnn" in capsys.readouterr().out
    folder = study.parent / "results" / "study"
    assert {path.name for path in folder.iterdir()} >= {
        "summary.csv",
        "differences.csv",
        "manifest.json",
        "report.html",
    }
    columns = set(names["result"].frame().columns) | set(names["table"].columns)  # type: ignore[attr-defined]
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    assert [name for name in columns - {"lost_devices"} if f"`{name}`" not in page] == []
    manifest = names["result"].manifest  # type: ignore[attr-defined]
    assert [key for key in manifest if f"`{key}`" not in page and key != "format"] == []


def test_own_plugins_of_the_page_pass_our_checks(study: Path) -> None:
    """A failure model and a strategy, registered, checked and described by the schema; devices and networks are valid."""
    failure, check, rate, strategy, objective = blocks("extending.md", "python")
    (study.parent / "my_plugins.py").write_text(f"{failure}\n\n{rate}\n\n{strategy}\n\n{objective}", encoding="utf-8")
    text = study.read_text(encoding="utf-8").replace("modnn: {owner", "asked: {device: w1}\n  modnn: {owner")
    text = text.replace("device_loss: {", "batteries: {type: empty-batteries, probability: 0.2}\n  device_loss: {")
    plugins, _, own_device = blocks("extending.md", "yaml")
    own_device = own_device.replace("my-board", "wearable")
    (study.parent / "own.yaml").write_text(f"{plugins}\n{own_device}\n{text}", encoding="utf-8")
    try:
        scenario = edgesim.Scenario.load(study.parent / "own.yaml", allow_code=True)
        assert list(islice(RATES.get("duty-cycle")(1e6).changes(), 3)) == [(0.0, 1e6), (0.05, 0.0), (0.1, 1e6)]
        check_objective(OBJECTIVES.get("worst-device")())
        exec(check, {"EmptyBatteries": FAILURES.get("empty-batteries")})  # noqa: S102 - our own page
        result = edgesim.run(scenario, workers=1, replications=4, output="out")
        accuracy = result.summary().query("metric == 'accuracy' and strategy == 'asked'")["mean"]
        assert accuracy.max() > 0.5
        assert "strategies: asked" in json_schema()["$defs"]
    finally:
        for registry, name in (
            (FAILURES, "empty-batteries"),
            (RATES, "duty-cycle"),
            (STRATEGIES, "asked"),
            (OBJECTIVES, "worst-device"),
        ):
            if name in registry.names():
                registry.remove(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    """To pages and files of the repository."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    """So that search and reader find it; `mkdocs build --strict` refuses a page that is not, too."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.relative_to(DOCS).as_posix()
        assert f": {name}\n" in navigation, name

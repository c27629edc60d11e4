"""`edgesim report` and `edgesim plot`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import typer
from example import example
from pyarrow import dataset

from edgesim.cli.exit_codes import code_of
from edgesim.cli.studies.plot import FORMATS, KINDS, plot
from edgesim.cli.studies.report import report
from edgesim.errors import ResultError, UnknownNameError
from edgesim.report.draw.style import FORMATS as WRITTEN
from edgesim.report.result import KINDS as DRAWN
from edgesim.study.folder.store import Result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result folder, and the working directory beside it."""
    result = example(tmp_path / "result")
    trials = dataset.dataset(pa.Table.from_pandas(result.frame()))
    monkeypatch.setattr(Result, "frame", lambda *_, **__: result.frame())
    monkeypatch.setattr(Result, "dataset", lambda *_, **__: trials)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "result"


def test_the_report_is_written_into_the_folder_or_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And its path goes to stdout."""
    report(folder, None)
    report(folder, Path("other.html"))
    assert capsys.readouterr().out == f"{folder / 'report.html'}\nother.html\n"
    assert (folder / "report.html").read_bytes() == Path("other.html").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(kind: str, folder: Path) -> None:
    """To KIND.FORMAT in the working directory."""
    plot(folder, kind, "svg", None, None)
    assert Path(f"{kind}.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_suffix_of_the_file_says_the_format(folder: Path) -> None:
    """As in `--output nonn.pdf`."""
    plot(folder, "timeline", "png", "nonn", Path("nonn.pdf"))
    assert Path("nonn.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pie", "png", None, None), "there is no figure 'pie'; there are tradeoff, "),
        (("energy", "gif", None, None), "energy.gif ends in none of .png, .svg, .pdf"),
        (("energy", "png", "nonn", None), "of one strategy are timeline, queues, utilisation"),
    ],
)
def test_wrong_options_say_what_there_is(
    arguments: tuple[str, str, str | None, None], message: str, folder: Path
) -> None:
    """And nothing is written."""
    with pytest.raises(typer.BadParameter, match=message):
        plot(folder, *arguments)
    assert [path.name for path in Path().iterdir()] == ["result"]


def test_folders_that_are_no_result_are_refused(tmp_path: Path) -> None:
    """With the folder's name."""
    for work in (lambda: report(tmp_path, None), lambda: plot(tmp_path, "energy", "png", None, None)):
        with pytest.raises(ResultError, match="not a result folder"):
            work()


def test_an_unknown_strategy_names_the_known_ones(folder: Path) -> None:
    """Of the timelines."""
    with pytest.raises(UnknownNameError, match="one of single, modnn, nonn; nearest 'nonn'"):
        plot(folder, "timeline", "png", "non", None)


def test_the_command_offers_what_the_report_draws() -> None:
    """The lists of the light command line are those of the modules that draw."""
    assert DRAWN == KINDS
    assert FORMATS == WRITTEN


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.json", "{", "manifest.json cannot be read"),
        ("manifest.json", "[]", "its checksum is not that of its content"),
        ("manifest.json", '{"format": 2, "scenario": {}, "hash": ""}', "manifest.json is of format 2, this edgesim reads format 3; remove"),
        ("summary.csv", "", "summary.csv is damaged: it is no table; run the scenario again"),
        ("summary.csv", "x\n1\n", "summary.csv is damaged: its columns are not lost_devices, strategy"),
        ("timeline.json", "{}", "timeline.json is damaged"),
        ("timeline.json", None, "has no timelines"),
    ],
)  # fmt: skip
def test_damaged_results_are_refused_with_what_to_do(
    name: str, content: str | None, message: str, folder: Path
) -> None:
    """No traceback."""
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ResultError, match=message.replace("(", r"\(")):
        report(folder, None)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And one that holds nothing of ours; both are wrong input."""
    for path, message in ((tmp_path / "none", "there is no folder"), (tmp_path, "it holds no manifest.json")):
        with pytest.raises(ResultError, match=message) as caught:
            plot(path, "energy", "png", None, None)
        assert code_of(caught.value) == 2


@pytest.mark.parametrize("content", [None, b"junk"])
def test_damaged_trials_are_refused(content: bytes | None, tmp_path: Path) -> None:
    """Missing or no Parquet."""
    example(tmp_path)
    (tmp_path / "trials").mkdir()
    if content is not None:
        (tmp_path / "trials" / "0.parquet").write_bytes(content)
    with pytest.raises(
        ResultError, match=r"run the scenario again|it is not of this study; put the study's files back"
    ):
        Result(tmp_path).frame()

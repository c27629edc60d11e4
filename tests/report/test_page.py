"""The report: what it says, that it is well formed, and how it is in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example import STRATEGIES, Example, example

from edgesim.errors import ResultError
from edgesim.report.html.assumptions import assumptions
from edgesim.report.html.page import _figures, page, write_page
from edgesim.study.folder.manifest_file import read_manifest, write_manifest

VOID = {"meta", "link", "br", "hr", "img", "input"}
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium; .ci/run does it"
)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the example."""
    return page(example(tmp_path_factory.mktemp("report")))


class Reader(HTMLParser):
    """Notes elements, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    """Parse a page."""
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_networks_that_learnt_too_little_are_told_above_the_tables(tmp_path: Path) -> None:
    """As text: what stands in the manifest is escaped."""
    text = page(example(tmp_path / "example"))
    told = text.index("strategy &#39;nonn&#39; &lt;learnt&gt; too little")
    assert text.index('id="results"') < told < text.index('id="table-1"')


def test_it_holds_everything_a_reader_asks_for(text: str) -> None:
    """Question, tables, eight figures and a timeline each, assumptions, how to repeat and cite."""
    shown = html.unescape(text)
    for part in (
        "What is left when <devices> are lost?", "±", "Accuracy against traffic", "Accuracy by lost devices",
        "Latency by lost devices", "Distribution of the latency", "Energy per inference", "Memory of the fullest device", "Devices and links",
        "Share of requests with an answer", "Assumptions and uncalibrated numbers", "calibrated by nobody: ", "phone (all)",
        "edgesim run example.yaml", "To cite the tool", "Bhardwaj", "The whole scenario",
    ):  # fmt: skip
        assert part in shown, part
    for name in STRATEGIES:
        assert f"Timeline of a request with {name}" in shown
    assert "<li>single: " not in text  # it comes from no paper
    assert "<devices>" not in text


def test_it_needs_no_network_and_no_scripts(text: str) -> None:
    """No script, no address but those of the namespaces of SVG, no style sheet or picture from elsewhere."""
    reader = read(text)
    tags = Counter(tag for tag, _ in reader.elements)
    assert tags["script"] == tags["img"] == tags["iframe"] == 0
    links = [attributes["href"] for tag, attributes in reader.elements if tag in {"link", "a"}]
    assert all(link is None or link.startswith(("data:", "#")) for link in links)
    assert set(re.findall(r'https?://[^"\s<)]+', text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_headings_come_in_order_and_ids_once(text: str) -> None:
    """One h1; no level is skipped on the way down."""
    reader = read(text)
    assert reader.headings[0] == 1
    assert reader.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(reader.headings, reader.headings[1:], strict=False))
    ids = Counter(attributes["id"] for _, attributes in reader.elements if "id" in attributes)
    assert [name for name, n in ids.items() if n > 1] == []


def test_every_figure_has_a_text_alternative(text: str) -> None:
    """A title and a description, named by the figure."""
    reader = read(text)
    ids = {attributes["id"] for _, attributes in reader.elements if "id" in attributes}
    figures = [attributes for tag, attributes in reader.elements if tag == "svg"]
    assert len(figures) == 9 + len(STRATEGIES)
    for figure in figures:
        assert figure["role"] == "img"
        assert set(str(figure["aria-labelledby"]).split()) <= ids
    for kind in ("title", "desc"):
        texts = re.findall(rf"<{kind} id=[^>]*>([^<]*)</{kind}>", text)
        assert len(texts) == len(figures)
        assert all(len(one) > 8 for one in texts)


def test_best_values_are_marked(text: str) -> None:
    """Per column, with all whose interval meets that of the best, also for those who do not see the mark."""
    table = text[text.index("Accuracy in %") :].split("</table>", maxsplit=1)[0]
    rows = {
        re.findall(r'<th scope="row">(.*?)</th>', row)[0]: [
            "best" in cell for cell in re.findall(r"<td(.*?)</td>", row)
        ]
        for row in table.split("<tr>")[2:]
    }
    assert rows == {"single": [True] * 4, "modnn": [False] * 4, "nonn": [False] * 4}
    assert text.count('class="best"') == text.count("<span hidden> best</span>")


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_letters_have_the_contrast_of_wcag_aa(text: str) -> None:
    """At least 4.5 to 1 on the page and on tinted ground, in light, in dark and printed; figures have no letters of their own colours."""
    blocks = [_colours(block) for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)]
    assert len(blocks) == 3
    for colours in blocks:
        for letters in ("ink", "soft", "accent", "warn"):
            for ground in ("paper", "tint"):
                assert _contrast(colours[letters], colours[ground]) >= 4.5, (letters, ground, colours)
    fills = set(re.findall(r"<text[^>]*fill: ([^;\"]+)", text))
    assert fills <= {"currentColor", "var(--soft)"}
    picture = text[text.index('id="tradeoff"') :].split("</figure>", maxsplit=1)[0]
    for (
        name
    ) in STRATEGIES:  # also where letters have an outline they are letters, not shapes with a colour of their own
        assert f">{name}</text>" in picture


def test_strategies_stand_out_from_light_and_dark_ground() -> None:
    """At least 2 to 1 for every colour of a strategy; a marker and a label tell them apart too."""
    from edgesim.report.draw.style import COLOURS

    for colour in COLOURS[:-1]:  # black follows the letters
        for ground in ("#ffffff", "#14181d"):
            assert _contrast(colour, ground) >= 2.0, (colour, ground)


def test_a_study_without_accuracy_shows_latency_and_no_hollow_numbers(tmp_path: Path) -> None:
    """Against traffic too; nothing is called nan."""
    result = example(tmp_path)
    summary = result.summary()
    summary[summary["metric"] != "accuracy"].to_csv(tmp_path / "summary.csv", index=False)
    shown = html.unescape(page(result))
    assert (
        "Latency against traffic. With nothing lost, single: 0 byte, latency 4 ms; modnn: 50 kB, latency 84 ms;"
        in shown
    )
    assert not re.search(r"\bnan\b", shown)
    assert "Accuracy" not in shown
    assert '<th scope="row">accuracy</th>' not in shown


def test_nouns_stand_in_the_number_they_have(text: str) -> None:
    """One device, two devices."""
    assert "50 replications of 3 strategies, by lost devices" in text
    assert "single: 1 computation or message on 1 device in 4 ms." in text
    assert "modnn: 10 computations and messages on 10 devices and channels in 84 ms." in text
    assert not re.search(r"\b1 (?:computations|devices|strategies|replications)\b", text)


def test_a_source_may_hold_semicolons() -> None:
    """Each number keeps its own source, and only what is assumed is called so."""
    from edgesim.report.html.page import _sources
    from edgesim.scenario.catalog import devices as catalog

    found = _sources({"profiles": {name: catalog.entry(name) for name in catalog.names()}})
    for name in catalog.names():
        here = {field: source for profile, numbers, source in found if profile == name for field in numbers.split(", ")}
        expected = catalog.references(name)
        if len(set(expected.values())) == 1:
            expected = {"all": next(iter(expected.values()))}
        assert here == expected
    assert _sources({"profiles": {"mine": {"source": "measured by me; twice"}}}) == [
        ("mine", "all", "measured by me; twice")
    ]


def test_assumptions_are_those_of_the_scenario() -> None:
    """Sharing, transports, load and accuracy are mentioned where they are used, also by a sweep only, whatever a factor is called."""
    plain = {"workload": {"load": None}, "topology": {"links": [{"sharing": "fifo"}]}, "failures": {}, "sweep": {}}
    said = " ".join(assumptions(plain, is_asked=False))
    for word in ("fair", "sent again", "test split", "after the warm-up", "same failures"):
        assert word not in said
    rich = {
        "workload": {"load": {"requests": 5}}, "topology": {"links": [{"sharing": "fair", "transport": {"type": "arq"}}]},
        "failures": {"loss": {}}, "sweep": {"transport": {"path": "topology.links.0.transport", "values": ["tcp", "datagram"]}},
    }  # fmt: skip
    said = " ".join(assumptions(rich, is_asked=True))
    for words in ("`sharing: fair`", "(arq, tcp)", "test split", "after the warm-up", "same failures and arrivals"):
        assert words in said


def test_every_factor_has_its_figures(tmp_path: Path) -> None:
    """At the first values of the others, but not of what it never changes."""
    result = example(tmp_path)
    summary = result.summary()
    far = summary.assign(mean=summary["mean"].where(summary["metric"] != "latency", 2 * summary["mean"]))
    both = pd.concat([summary.assign(place="near"), far.assign(place="far")])
    both[["place", *summary.columns]].to_csv(tmp_path / "summary.csv", index=False)
    parts = result.budget()
    both = pd.concat([parts.assign(place=place) for place in ("near", "far")])
    both[["place", *parts.columns]].to_csv(tmp_path / "budget.csv", index=False)
    about = read_manifest(tmp_path)
    about["factors"] = ["place", "lost_devices"]
    about["scenario"]["sweep"] = {"place": {"path": "seed"}, **about["scenario"]["sweep"]}
    about["intact"] = [{**row, "place": "near"} for row in about["intact"]]
    write_manifest(tmp_path, about)
    Example.frame, before = lambda self, **_: before(self).assign(place="near"), Example.frame
    try:
        names = [picture.name for picture in _figures(Example(tmp_path), {})]
    finally:
        Example.frame = before
    assert names == [
        "tradeoff", "resilience", "latency-by-lost_devices", "answered-by-lost_devices", "latency-by-place", "latency", "budget", "energy",
        "memory",
    ]  # fmt: skip


def test_bytes_that_depend_on_the_sample_are_shown_as_a_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four requests of 4, 4, 10 and 100 byte; without the column there is no figure."""
    result = example(tmp_path)
    assert "traffic" not in [picture.name for picture in _figures(result, {})]
    rows = [(0, "single", number, 1.0, number, 4, n_byte, 0) for number, n_byte in enumerate((0, 0, 6, 96))]
    names = [
        "lost_devices",
        "strategy",
        "replication",
        "latency_s",
        "sample",
        "input_byte",
        "intermediate_byte",
        "result_byte",
    ]
    monkeypatch.setattr(Example, "frame", lambda *_, **__: pd.DataFrame(rows, columns=names))
    [picture] = [picture for picture in _figures(example(tmp_path), {}) if picture.name == "traffic"]
    assert "single 4 B to 100 B, median 7 B, mean 29.5 B, 95th percentile 86.5 B" in picture.caption
    ax = result.plot_traffic()
    assert ax.get_xlabel() == "traffic of a request"
    steps = ax.lines[0].get_xydata()
    assert [tuple(step) for step in np.asarray(steps)[1:-1]] == [(4, 0.25), (4, 0.5), (10, 0.75), (100, 1.0)]


def test_a_result_without_timelines_says_what_to_do(tmp_path: Path) -> None:
    """It is of an older version."""
    result = example(tmp_path)
    (tmp_path / "timeline.json").unlink()
    with pytest.raises(ResultError, match="run the scenario again"):
        page(result)


def test_an_unwritable_place_is_no_traceback(tmp_path: Path) -> None:
    """A folder that is not there."""
    with pytest.raises(ResultError, match="cannot be written"):
        write_page(example(tmp_path), tmp_path / "none" / "report.html")


def browse(address: Path, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page in headless Chromium, without network."""
    assert CHROMIUM is not None
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", *options, address.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=180,
    )  # fmt: skip


MEASURE = """
const inside = document.querySelector("iframe").contentDocument;
const page = inside.documentElement;
const over = [...inside.querySelectorAll("body *")].filter(
  (one) => !one.closest(".wide") && !one.closest("svg") && one.getBoundingClientRect().right > page.clientWidth + 1);
document.title = JSON.stringify({
  width: page.clientWidth, scroll: page.scrollWidth, over: over.length,
  ground: inside.defaultView.getComputedStyle(page).backgroundColor,
  figures: [...inside.querySelectorAll("figure svg")].map((one) => Math.round(one.getBoundingClientRect().width)),
  small: Math.min(...[...inside.querySelectorAll("figure svg text")].map((one) => one.getBoundingClientRect().height).filter((h) => h > 0)),
});
"""


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(380, "light"), (380, "dark"), (1200, "light"), (1200, "dark")])
def test_in_chromium(width: int, scheme: str, text: str, tmp_path: Path) -> None:
    """No message on the console, no horizontal scrolling, figures as wide as they may be, the ground of the scheme."""
    inner = html.escape(text, quote=True)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe style="border:0;width:{width}px;height:800px" '
        f'srcdoc="{inner}"></iframe><script>addEventListener("load", () => {{{MEASURE}}});</script>',
        encoding="utf-8",
    )
    dark = (
        ("--blink-settings=preferredColorScheme=0",)
        if scheme == "dark"
        else ("--blink-settings=preferredColorScheme=1",)
    )
    done = browse(
        frame, tmp_path, *dark, f"--window-size={width + 100},900", "--virtual-time-budget=3000", "--dump-dom"
    )
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None
    measured = json.loads(html.unescape(found[1]))
    assert measured["scroll"] <= measured["width"] == width
    assert measured["over"] == 0
    assert measured["ground"] == ("rgb(20, 24, 29)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert min(measured["figures"]) >= 300
    assert measured["small"] >= 9
    assert "CONSOLE" not in done.stderr


@needs_chromium
def test_it_can_be_printed(text: str, tmp_path: Path) -> None:
    """To a PDF of a few pages and less than 500 kB: hatches would be printed as pictures, one for each bar."""
    source, target = tmp_path / "report.html", tmp_path / "report.pdf"
    source.write_text(text, encoding="utf-8")
    done = browse(source, tmp_path, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    assert target.read_bytes().startswith(b"%PDF")
    assert "fill: url(#" in text
    assert target.stat().st_size < 500_000
    assert 2 <= target.read_bytes().count(b"/Type /Page\n") + target.read_bytes().count(b"/Type /Page ") <= 12
    assert "CONSOLE" not in done.stderr

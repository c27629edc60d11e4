"""Speed and memory of the engines on the star, beside hand-written scripts and other simulators: python benchmarks/engine.py

Writes docs/results/engine.md and engine.csv (`--output` says where else), prints the tables (`--json`: the rows), and exits
with 1 when a bar is missed. Run it on a machine that does nothing else; it says how busy the machine was. `--rounds 200
--random-rounds 2000 --memory-rounds 100 1000` is a quick look.

The contestants are in `benchmarks/star_contestants.py` and `star_edgesim.py`. Each measurement is a process of its own, which times the rounds alone; the
contestants take turns, so that a slow minute meets all of them. Figures are medians over the repeats.

LEAF and ns.py are measured where they can be imported, else left out with a note. They may live in an environment of their own:

    python3.11 -m venv peers
    peers/bin/pip install leafsim==0.4.2 ns.py==0.4.3
    python benchmarks/engine.py --peers-python peers/bin/python

They work with current releases of simpy, networkx and numpy. YAFS is on no package index, so it is not measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from star_contestants import ABSENT, ALONE, BY_ARRAYS, FIXED, PEERS, RANDOM

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "results"
DEVICES = (8, 64, 512)
FEWEST, FEWEST_BY_ARRAYS = 10, 120_000
CALLBACKS, NS_PY, NUMPY = "SimPy, callbacks", "ns.py", "numpy"
LEAF, LEAF_ALONE = "LEAF", "LEAF, links without queues"
RANDOM_CALLBACKS, RANDOM_EVENT = "SimPy, callbacks, random", "edgesim, event engine, random"
EVENT, ARRAY = "edgesim, event engine", "edgesim, array engine"
COUNTED = 200
"""Rounds of which calls are counted."""
FLAT = 500.0
"""Memory is flat when a further round adds at most so many byte: its record, and no event, message or request."""

STAR = (
    "K devices compute for 10 ms and send 10 kB over a link of their own (10 Mbit/s, 5 ms) to a sink; the next round begins when "
    "all has arrived, after 23 ms, which is checked. A second star draws: computing takes 10 ms x (1 + E), E exponential with "
    "mean 1/2, messages are lost with probability 0.05, and the sink waits 100 ms; latency, energy and lost messages are checked "
    "against their expectations. Rates are rounds per second of CPU time."
)
KEPT = (
    "The largest memory of the whole process, Python and its packages included. edgesim keeps a record of every round, numpy its "
    "arrays, SimPy and LEAF the length of every round."
)

CALLED = (
    "Counted, not timed. What the event engine lets happen at one moment is one event of SimPy, so that where nothing is random its queue costs next "
    "to nothing; its time goes into the functions that keep the state of devices, links and the request, and into its record. The script with records "
    "keeps as much, and takes all that happens at a moment in one loop, but knows nothing except this star: no queue with others, no outage, no deadline."
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one contestant needs for one size: medians.

    Parameters
    ----------
    rounds_per_cpu_s, rounds_per_wall_s : simulated rounds per second.
    slowest_cpu_s, fastest_cpu_s : of the repeats.
    against : times the rate of the hand-written form, SimPy with callbacks or numpy, by CPU time; 0 where that is missing.
    against_leaf : times the rate of LEAF; 0 where that is missing.
    """

    case: str
    contestant: str
    devices: int
    rounds: int
    cpu_s: float
    wall_s: float
    fastest_cpu_s: float
    slowest_cpu_s: float
    rounds_per_cpu_s: float
    rounds_per_wall_s: float
    against: float = 0.0
    against_leaf: float = 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Largest memory of a process that simulates few and many rounds with 8 devices, in byte."""

    contestant: str
    few: int
    many: int
    few_byte: int
    many_byte: int

    @property
    def byte_per_round(self) -> float:
        """What each further round adds."""
        return (self.many_byte - self.few_byte) / (self.many - self.few)


@dataclass(frozen=True, slots=True)
class Bar:
    """What is asked of an engine, and what it reaches; NaN where it cannot be told."""

    text: str
    asked: float
    reached: float
    is_most: bool = False

    @property
    def verdict(self) -> str:
        """Whether it is met."""
        if self.reached != self.reached:  # NaN
            return "not measured"
        return "met" if (self.reached <= self.asked if self.is_most else self.reached >= self.asked) else "missed"


class Field:
    """Runs contestants in processes of their own, and remembers which are missing.

    Parameters
    ----------
    peers_python : the Python that has the other simulators, or None: this one.
    """

    def __init__(self, peers_python: str | None) -> None:
        self.peers_python = peers_python or sys.executable
        self.missing: dict[str, str] = {}

    def run(self, contestant: str, *arguments: object) -> dict[str, float] | None:
        """Return one measurement, or None when the contestant is not installed."""
        if contestant in self.missing:
            return None
        python = self.peers_python if contestant in PEERS else sys.executable
        done = _star(python, contestant, *arguments)
        if done.returncode == ABSENT:
            self.missing[contestant] = done.stderr.strip()
            sys.stderr.write(f"{contestant} is left out: {done.stderr.strip()}\n")
            return None
        if done.returncode != 0:
            raise SystemExit(f"{contestant} {arguments} failed:\n{done.stderr}")
        measured: dict[str, float] = json.loads(done.stdout)
        return measured

    def versions(self) -> str:
        """Return what is installed, here and where the other simulators are."""
        ours, theirs = (json.loads(_star(python, "versions").stdout) for python in (sys.executable, self.peers_python))
        text = _listed(ours)
        return text if theirs == ours else f"{text}; LEAF and ns.py with {_listed(theirs)}"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _star(python: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [python, str(HERE / "star_contestants.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def rates(field: Field, n_rounds: int, n_random: int, n_repeats: int) -> list[Row]:
    """Measure every contestant at every size, in turns."""
    sizes = {("fixed", name, devices): max(FEWEST, n_rounds * 8 // devices) for devices in DEVICES for name in FIXED}
    for devices in DEVICES:
        few = max(FEWEST, n_rounds * 8 // devices)  # the event engine needs as long for these as without draws
        many = max(min(FEWEST_BY_ARRAYS, n_random), n_random * 8 // devices)
        names = (*RANDOM, *ALONE)
        sizes |= {("random", name, devices): many if name in BY_ARRAYS else few for name in names}
    found: dict[tuple[str, str, int], list[dict[str, float]]] = {key: [] for key in sizes}
    for repeat in range(n_repeats):
        for (case, name, devices), rounds in sizes.items():
            measured = field.run(name, devices, rounds)
            if measured is not None:
                found[case, name, devices].append(measured)
        sys.stderr.write(f"repeat {repeat + 1} of {n_repeats} done\n")
    rows = [_row(*key, sizes[key], measured) for key, measured in found.items() if measured]
    return [_compared(row, rows) for row in rows]


def _row(case: str, name: str, devices: int, rounds: int, measured: list[dict[str, float]]) -> Row:
    cpu_s = median(one["cpu_s"] for one in measured)
    wall_s = median(one["wall_s"] for one in measured)
    fastest, slowest = min(one["cpu_s"] for one in measured), max(one["cpu_s"] for one in measured)
    return Row(case, name, devices, rounds, cpu_s, wall_s, fastest, slowest, rounds / cpu_s, rounds / wall_s)


def _compared(row: Row, rows: list[Row]) -> Row:
    """Add the ratios of rates."""
    by_hand = CALLBACKS if row.case == "fixed" else NUMPY
    rate = {(one.contestant, one.devices): one.rounds_per_cpu_s for one in rows if one.case == row.case}
    ratio = {
        name: row.rounds_per_cpu_s / rate[name, row.devices] for name in (by_hand, LEAF) if (name, row.devices) in rate
    }
    return replace(row, against=ratio.get(by_hand, 0.0), against_leaf=ratio.get(LEAF, 0.0))  # fmt: skip


def memory(field: Field, few: int, many: int) -> list[Memory]:
    """Measure the memory of every contestant for few and many rounds with 8 devices."""
    found = []
    for name in (*FIXED, *RANDOM):
        measured = [field.run(name, DEVICES[0], rounds) for rounds in (few, many)]
        peaks = [int(one["peak_byte"]) for one in measured if one is not None]
        if len(peaks) == 2:
            found.append(Memory(name, few, many, *peaks))
    return found


def called(field: Field) -> str:
    """Return the table of what a round with 8 devices calls."""
    lines = ["| | functions of Python per round | events of SimPy per round |", "|---|---|---|"]
    for name in (*FIXED, RANDOM_CALLBACKS, RANDOM_EVENT):
        found = field.run(name, DEVICES[0], COUNTED, "COUNT")
        if found is not None:
            lines.append(f"| {name} | {found['calls']:,.0f} | {found['events']:,.0f} |")
    return _lines(lines)


def bars(rows: list[Row], memories: list[Memory]) -> list[Bar]:
    """Return what is asked of the engines, at 8 devices, and of the array engine at any number."""
    row = {one.contestant: one for one in rows if one.devices == DEVICES[0]}
    growth = {one.contestant: one.byte_per_round for one in memories}
    nan = float("nan")
    event = row[EVENT]
    by_arrays = [one.against for one in rows if one.contestant == ARRAY]
    return [
        Bar("event engine at 8 devices, times SimPy with callbacks", 0.8, event.against or nan),
        Bar(
            "event engine with draws, losses and a deadline, times SimPy with callbacks of the same model",
            0.4,
            _times(row.get(RANDOM_EVENT), row.get(RANDOM_CALLBACKS)),
        ),
        Bar("event engine, times LEAF whose links have queues", 5.0, event.against_leaf or nan),
        Bar("event engine, times ns.py", 5.0, _times(event, row.get(NS_PY))),
        Bar("event engine, memory that a further round adds, byte", FLAT, growth.get(EVENT, nan), is_most=True),
        Bar("array engine, times numpy, where that is least", 0.8, min(by_arrays, default=nan)),
    ]


def _times(one: Row | None, other: Row | None) -> float:
    """Return the rate of one contestant over that of another; NaN where either is missing."""
    return one.rounds_per_cpu_s / other.rounds_per_cpu_s if one is not None and other is not None else float("nan")


def document(head: str, rows: list[Row], memories: list[Memory], judged: list[Bar], calls: str) -> str:
    """Return the page of the documentation."""
    bar_lines = [
        f"| {one.text} | {'at most' if one.is_most else 'at least'} {one.asked:g} | {one.reached:.3g} | {one.verdict} |"
        for one in judged
    ]
    memory_lines = [
        f"| {one.contestant} | {one.few:,} | {one.few_byte / 1e6:.1f} | {one.many:,} | {one.many_byte / 1e6:.1f} "
        f"| {one.byte_per_round:,.0f} |"
        for one in memories
    ]
    parts = [
        "# Speed of the engines", head, STAR,
        "## Bars", _lines(["| | asked | reached | |", "|---|---|---|---|", *bar_lines]),
        "## 23 ms per round", _lines(_table(rows, "fixed", "x SimPy, callbacks")), *filter(None, [_leaf(rows)]),
        "## Calls of a round at 8 devices", CALLED, calls,
        "## Random times and losses", _lines(_table(rows, "random", "x numpy")), _queue(rows),
        "## Memory at 8 devices",
        _lines(["| | rounds | MB | rounds | MB | byte per round |", "|---|---|---|---|---|---|", *memory_lines]),
        KEPT,
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _queue(rows: list[Row]) -> str:
    """Return which part of the time of the event engine SimPy's queue takes."""
    shares = []
    for devices in DEVICES:
        rate = {one.contestant: one.rounds_per_cpu_s for one in rows if (one.case, one.devices) == ("random", devices)}
        shares += [f"{rate[RANDOM_EVENT] / rate[name]:.0%} with {devices}" for name in ALONE if name in rate]
    return (
        "SimPy's queue, and the clock that takes callbacks in place of its events, are that part of the time of the event engine which the same "
        f"moments take when nothing happens at them but that the next one is planned: {', '.join(shares)} devices."
    )


def _leaf(rows: list[Row]) -> str:
    """Return what the two scripts for LEAF are, and what the ratio to the shorter one is, where that was measured."""
    rate = {row.contestant: row.rounds_per_cpu_s for row in rows if row.devices == DEVICES[0]}
    if LEAF_ALONE not in rate:
        return ""
    return (
        "In LEAF a message that finds a link taken is an error. Its script therefore lets messages wait at a Resource of SimPy for each link, "
        "as messages wait for links in every other script but that of bare processes. In this star no two messages ever meet, so that "
        f"a script without that ends with the same rounds; the event engine makes {rate[EVENT] / rate[LEAF_ALONE]:.2g} times as many as it at "
        f"{DEVICES[0]} devices."
    )


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)


def _table(rows: list[Row], case: str, against: str) -> list[str]:
    """Return the lines of a table with three columns for each size."""
    chosen = [row for row in rows if row.case == case]
    has_leaf = any(row.against_leaf for row in chosen)
    ratios = [against, "x LEAF"] if has_leaf else [against]
    headers = [text for devices in DEVICES for text in (f"K = {devices}: rounds/s", *ratios)]
    lines = ["| | " + " | ".join(headers) + " |", "|---" * (len(headers) + 1) + "|"]
    for name in dict.fromkeys(row.contestant for row in chosen):
        cells = [
            text
            for devices in DEVICES
            for row in chosen
            if (row.contestant, row.devices) == (name, devices)
            for text in (f"{row.rounds_per_cpu_s:,.0f}", f"{row.against:.2g}", f"{row.against_leaf:.2g}")[: 1 + len(ratios)]
        ]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text(encoding="utf-8").splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors, {platform.system()}"


def command_line(arguments: argparse.Namespace) -> str:
    """Return the command that makes these tables; where it writes and where LEAF and ns.py lie changes nothing in them."""
    options = ["--rounds", arguments.rounds, "--random-rounds", arguments.random_rounds]
    options += ["--memory-rounds", *arguments.memory_rounds, "--repeats", arguments.repeats]
    return shlex.join(["python", "benchmarks/engine.py", *map(str, options)])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5_000, help="with 8 devices; fewer with more")
    parser.add_argument(
        "--random-rounds",
        type=int,
        default=3_000_000,
        help=f"of the random star by arrays, with 8 devices; fewer with more, at least {FEWEST_BY_ARRAYS:,}",
    )
    parser.add_argument("--memory-rounds", type=int, nargs=2, default=[1_000, 10_000], metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers-python", metavar="PATH", help="the Python of an environment with LEAF and ns.py")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of engine.md and engine.csv")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser.parse_args()


def main() -> int:
    """Measure, write, print; return 1 when a bar is missed."""
    arguments = parse()
    busy = os.getloadavg()[0]
    field = Field(arguments.peers_python)
    rows = rates(field, arguments.rounds, arguments.random_rounds, arguments.repeats)
    memories = memory(field, *arguments.memory_rounds)
    judged = bars(rows, memories)
    left_out = "".join(f" Left out: {name} ({why})." for name, why in field.missing.items())
    head = (
        f"Made by `{command_line(arguments)}` on {datetime.now(UTC):%Y-%m-%d}. {field.versions()}. {processor()}; "
        f"{busy:.1f} processes were running when it began. Medians of {arguments.repeats}.{left_out}"
    )
    text = document(head, rows, memories, judged, called(field))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "engine.md").write_text(text, encoding="utf-8")
    with (arguments.output / "engine.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {head}\n")
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in asdict(row).items()}
            for row in rows
        )
    if arguments.json:
        everything = {"about": head, "rows": rows, "memory": memories, "bars": judged}
        print(json.dumps(everything, default=asdict, indent=1))
    else:
        print(text)
    return int(any(bar.verdict == "missed" for bar in judged))


if __name__ == "__main__":
    sys.exit(main())

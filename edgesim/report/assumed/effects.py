"""Which assumed numbers matter: what half and twice each does to means, and to who is best."""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING, Any

from edgesim.report.table import Table
from edgesim.report.texts import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LITTLE, MUCH = 0.01, 0.1
"""Share of a mean below which a change is left out of the table, and above which it is told."""
COMPARED = ("latency", "energy")
TIMES = {0.5: "half", 2.0: "twice"}
NOTHING = "Every number in use has a reference, or the study is too large to try others while it runs; `edgesim sensitivity RESULT` tries them."
Row = dict[str, Any]
"""Of `edgesim.study.changes.sensitivity.Sensitivity`, as a mapping."""


def effects_table(rows: Sequence[Row]) -> Table:
    """Return what half and twice each assumed number does: the largest change of a mean of any strategy, and who is best then."""
    lines: list[tuple[float, tuple[str, ...]]] = []
    small = []
    for number, own in _by_number(rows).items():
        cells = [(name, factor, _largest(own, name, factor)) for name in COMPARED for factor in TIMES]
        best = "; ".join(_best(own))
        size = max(abs(share) for _, _, (share, _) in cells)
        if size < LITTLE and not best:
            small.append(number)
            continue
        texts = [_share(share) + (f" {strategy}" if strategy else "") for _, _, (share, strategy) in cells]
        lines.append((size, (f"{_name(number)}, {own[0]['value']}", *texts, best)))
    lines.sort(key=lambda line: -line[0])
    headers = ["assumed number", *(f"{name},\n{times}" for name in COMPARED for times in TIMES.values())]
    if any(texts[-1] for _, texts in lines):
        headers.append("who is best then")
    shown = tuple(texts[: len(headers)] for _, texts in lines)
    notes = [f"the largest change of a mean over {_n(rows)}, and of which strategy"]
    notes += [f"less than {100 * LITTLE:.0f} % by {', '.join(map(_name, small))}"] if small else []
    return Table("Assumed numbers halved and doubled", tuple(headers), shown, note="; ".join(notes))


def effects_sentence(rows: Sequence[Row]) -> str:
    """Return which assumed numbers matter, and whether who is best hangs on one."""
    if not rows:
        return NOTHING
    numbers = _by_number(rows)
    sizes = {}
    for number, own in numbers.items():
        found = [(_largest(own, name, factor), name, factor) for name in COMPARED for factor in TIMES]
        sizes[number] = max(found, key=lambda one: abs(one[0][0]))
    large = [number for number, ((share, _), _, _) in sizes.items() if abs(share) > MUCH]
    text = f"Of {len(numbers)} assumed numbers, halved and doubled, {len(large) or 'none'} change{'s' if len(large) == 1 else ''} a mean latency or energy by more than {100 * MUCH:.0f} %"
    if large:
        most = max(large, key=lambda number: abs(sizes[number][0][0]))
        (share, strategy), name, factor = sizes[most]
        done = f"changes the {name} of {strategy} by {_share(share)}"
        done = f"leaves {strategy} without an answer, or without the memory it needs" if share == inf else done
        text += f", most the {_name(most)}: {TIMES[factor]} of it {done}"
    compared = [_metric(name) for name in dict.fromkeys(row["metric"] for row in rows) if name != "peak_memory"]
    changing = [_name(number) for number, own in numbers.items() if _best(own)]
    best = f"Which strategy is best in {_list(compared)} "
    return f"{text}. {best}" + (f"hangs on {_list(changing)}." if changing else "hangs on none of them.")


def _by_number(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["assumed"]), []).append(row)
    return found


def _largest(rows: Sequence[Row], metric: str, factor: float) -> tuple[float, str]:
    """Return the largest relative change of a metric of any strategy, and of which; infinite where it does not fit then."""
    found = (0.0, "")
    for row in rows:
        if row["metric"] != metric or row["factor"] != factor or isnan(row["before"]) or not row["before"]:
            continue
        share = inf if isnan(row["after"]) else row["after"] / row["before"] - 1
        if abs(share) > max(abs(found[0]), 1e-9):
            found = share, str(row["strategy"])
    return found


def _share(share: float) -> str:
    if share == inf:
        return "no fit or answer:"
    return f"{100 * share:+.0f} %" if abs(share) >= LITTLE else "<1 %" if share else "0"


def _best(rows: Sequence[Row]) -> list[str]:
    """Return where other strategies are best with another value, in words."""
    found = []
    for factor, times in TIMES.items():
        here = [row for row in rows if row["factor"] == factor]
        for metric in dict.fromkeys(str(row["metric"]) for row in here):
            own = [row for row in here if row["metric"] == metric]
            led, leads = (sorted(str(row["strategy"]) for row in own if row[key]) for key in ("led", "leads"))
            if metric == "peak_memory":
                found.append(f"{_list(leads)} may fit at {times}")
            elif led != leads:
                found.append(f"{_metric(metric)} at {times}: {_list(leads) or 'nobody'}, not {_list(led)}")
    return found


def _name(number: str) -> str:
    field, of, owner = number.partition(" of ")
    return words(field).replace(".", " ") + of + owner


def _metric(name: str) -> str:
    return "share of answers" if name == "answered" else words(name)


def _n(rows: Sequence[Row]) -> str:
    n = max((int(row["n"]) for row in rows), default=0)
    return f"{n} trial{'' if n == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1)) if names else ""

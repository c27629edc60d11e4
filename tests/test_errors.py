"""How findings are shown."""

from __future__ import annotations

import pickle

from edgesim.errors import Finding, InfeasiblePlanError, ScenarioError, UnknownNameError


def test_carets_stand_under_the_mistake() -> None:
    """File, line and column first; then the line, the carets, what is expected, and the remedy."""
    finding = Finding(
        "unknown key 'bandwith'", ("a",), "'bandwidth'", "look it up", "f.yaml", 12, 5, 8, "    bandwith: 20 Mbit/s"
    )
    assert str(finding).splitlines() == [
        "f.yaml:12:5: unknown key 'bandwith'",
        "   12 |     bandwith: 20 Mbit/s",
        "            ^^^^^^^^",
        "   expected: 'bandwidth'",
        "   help: look it up",
    ]


def test_long_lines_are_cut_around_the_mistake() -> None:
    """A minified file does not flood the terminal, and the carets stay right."""
    excerpt = "x" * 5000 + "WRONG" + "x" * 5000
    _, line, carets = str(Finding("m", file="f", line=1, column=5001, length=5, excerpt=excerpt)).splitlines()
    assert len(line) < 140
    assert line[carets.index("^") :][: carets.count("^")] == "WRONG"


def test_control_characters_never_reach_the_terminal() -> None:
    """A scenario cannot colour or move the cursor; tabs count as one column."""
    shown = str(Finding("m", file="f", line=1, column=3, length=1, excerpt="\t\x1b[31mred"))
    assert "\x1b" not in shown
    assert "\t" not in shown


def test_errors_survive_pickling() -> None:
    """Worker processes send them home."""
    errors = (
        ScenarioError((Finding("m", ("a", 1)),)),
        UnknownNameError("device", "x", ("y",), "y"),
        InfeasiblePlanError("w1", 9, 5),
    )
    for error in errors:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_finding_writes_out_what_a_terminal_would_obey() -> None:
    """Escape sequences, and what turns the direction of writing."""
    text = str(Finding("odd \x1b[31m name", ("a\x1b",), "\u202e", "\r", "file\x07.yaml"))
    assert text.replace("\n", "").isprintable()
    assert "odd \\x1b[31m name" in text

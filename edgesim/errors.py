"""Exceptions of edgesim, and the findings that a scenario error carries.

The tree: `EdgesimError` > `ScenarioError`, `UnknownNameError`, `PlanError` > `InfeasiblePlanError`, `SimulationError`,
`DataError`, `ResultError`. Every message names the subject, what was expected and the remedy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Control characters but tab and line feed, separators of lines, what turns the direction of writing, halves of characters.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that are not shown but obeyed, by terminals and others."""


def visible(text: str) -> str:
    r"""Return a text with such characters written out.

    Examples
    --------
    >>> visible("\x1b[2J")
    '\\x1b[2J'
    """
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class EdgesimError(Exception):
    """Base of all errors that edgesim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in a scenario, with the place where it stands.

    Parameters
    ----------
    message : what is wrong, in one line, naming the offending value.
    path : where it stands in the scenario, as keys and list positions, e.g. ``("devices", 0, "profile")``.
    expected : what would be right; empty when the message says it.
    help : what to do about it; empty when nothing more can be said.
    file, line, column : the place in the source text, counted from 1; line 0 when there is no text.
    length : number of characters to underline.
    excerpt : the source line.
    is_unchecked : whether it is no mistake, but what could not be checked without running code that nobody has allowed.

    Examples
    --------
    >>> print(Finding("unknown profile 'phnoe'", ("devices", 0, "profile"), "'phone'"))
    devices.0.profile: unknown profile 'phnoe'
       expected: 'phone'
    """

    message: str
    path: tuple[str | int, ...] = ()
    expected: str = ""
    help: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    length: int = 1
    excerpt: str = ""
    is_unchecked: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        dotted = ".".join(str(part) for part in self.path)
        lines = [f"{place}{self.message}" if self.line or not dotted else f"{place}{dotted}: {self.message}"]
        if self.line and self.excerpt:
            number = str(self.line)
            excerpt, start, length = self._window()
            lines.append(f"  {number:>3} | {excerpt}")
            lines.append(" " * (5 + max(3, len(number)) + start) + "^" * length)
        if self.expected:
            lines.append(f"   expected: {self.expected}")
        if self.help:
            lines.append(f"   help: {self.help}")
        return visible("\n".join(lines))

    def _window(self) -> tuple[str, int, int]:
        """Return the part of the source line to show, and where in it the carets begin and how many there are."""
        text = "".join(character if character.isprintable() else " " for character in self.excerpt)
        start = min(self.column - 1, len(text))
        first = max(0, start - _WIDTH // 2) if len(text) > _WIDTH else 0
        shown = text[first : first + _WIDTH]
        length = max(1, min(self.length, len(shown) - (start - first)))
        return shown, start - first, length


_WIDTH = 120  # characters of a source line that are shown


class ScenarioError(EdgesimError, ValueError):
    """A scenario cannot be read or is not valid; `findings` lists every mistake at once."""

    def __init__(self, findings: tuple[Finding, ...] | str) -> None:
        self.findings = (Finding(findings),) if isinstance(findings, str) else tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))

    def __reduce__(self) -> tuple[type, tuple[tuple[Finding, ...]]]:
        return type(self), (self.findings,)


class UnknownNameError(EdgesimError, LookupError):
    """A name is not registered.

    Parameters
    ----------
    kind : what was looked up, in the singular, e.g. ``"strategy"``.
    name : the unknown name.
    known : all registered names.
    nearest : the most similar registered name, or None.
    """

    def __init__(self, kind: str, name: str, known: tuple[str, ...], nearest: str | None) -> None:
        self.kind, self.name, self.known, self.nearest = kind, name, known, nearest
        super().__init__(f"unknown {kind} {name!r}; {self.expected()}")

    def expected(self) -> str:
        """Say what names exist, the nearest first when one is near.

        Examples
        --------
        >>> UnknownNameError("transport", "tpc", ("arq", "tcp"), "tcp").expected()
        "expected one of arq, tcp; nearest 'tcp'"
        """
        if not self.known:
            return f"no {self.kind} is registered"
        if len(self.known) <= 6:
            return "expected one of " + ", ".join(self.known) + (f"; nearest {self.nearest!r}" if self.nearest else "")
        return f"expected one of {len(self.known)} names" + (f"; nearest {self.nearest!r}" if self.nearest else "")

    def __reduce__(self) -> tuple[type, tuple[str, str, tuple[str, ...], str | None]]:
        return type(self), (self.kind, self.name, self.known, self.nearest)


class PlanError(EdgesimError, ValueError):
    """A plan contradicts itself or its topology."""


class InfeasiblePlanError(PlanError):
    """A plan does not fit a device's memory.

    Parameters
    ----------
    device_id : the device that is too small; of several together their ids.
    needed_byte : peak memory that the plan needs there, in byte.
    available_byte : memory of the device, in byte.
    why : what does not fit and what to do about it, where that is not one device.
    """

    def __init__(self, device_id: str, needed_byte: int, available_byte: int, why: str = "") -> None:
        self.device_id, self.needed_byte, self.available_byte, self.why = device_id, needed_byte, available_byte, why
        super().__init__(
            why
            or f"device {device_id!r} needs {needed_byte} byte but has {available_byte} byte; "
            "use a smaller model, more devices, or a device with more memory"
        )

    def __reduce__(self) -> tuple[type, tuple[str, int, int, str]]:
        return type(self), (self.device_id, self.needed_byte, self.available_byte, self.why)


class SimulationError(EdgesimError):
    """The simulation reached a state that its rules exclude."""


class DataError(EdgesimError):
    """A data set or a stored network is missing or not what it should be."""


class NetworkError(DataError):
    """A network of a scenario does not fit, or its file is missing, damaged, unsafe, or of another network; the scenario is to blame.

    Parameters
    ----------
    message : what is wrong, and what to do.
    place : keys of the scenario that lead to what names the network.
    """

    def __init__(self, message: str, place: tuple[str, ...] = ("workload", "model")) -> None:
        self.place = place
        super().__init__(message)


class ExecutionError(EdgesimError):
    """A plan could not be executed by real processes, or not honestly on this machine."""


class ResultError(EdgesimError):
    """A result folder is missing, incomplete or belongs to another study."""


class EdgesimWarning(UserWarning):
    """Something was put right, or may not be what was meant; the numbers are right."""


# No broad clause, so that an interrupt or exhausted memory still ends the program.
FOREIGN = (
    ArithmeticError, AssertionError, AttributeError, EdgesimError, ImportError, LookupError, NameError, OSError, RuntimeError,
    SyntaxError, SystemExit, TypeError, ValueError,
)  # fmt: skip
"""What running somebody's code can raise."""


def nearest_name(name: str, known: tuple[str, ...]) -> str | None:
    """Return the most similar known name, or None when none is similar.

    Examples
    --------
    >>> nearest_name("modn", ("modnn", "nonn", "single"))
    'modnn'
    """
    import difflib  # only where something is wrong

    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return found[0] if found else None

"""What a numpydoc docstring says: summary, description, parameters, and the sections behind them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_UNDERLINE = re.compile(r"^-{3,}$")
_PARAMETER = re.compile(r"^([A-Za-z_][\w, ]*) : (.*)$")
_WORD = re.compile(r"`{1,2}([^`]+)`{1,2}")


@dataclass(frozen=True)
class Docstring:
    """A docstring in its parts.

    Parameters
    ----------
    summary : the first line.
    description : the paragraphs below it, up to the first section.
    parameters : description by name.
    sections : text of the other sections by title, e.g. ``"References"``.
    """

    summary: str = ""
    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Docstring:
    r"""Read the docstring of a class.

    >>> read = read_docstring("Do this.\n\nIn detail.\n\nParameters\n----------\nk, n : two numbers,\n    both whole.")
    >>> read.summary, read.description, read.parameters["n"]
    ('Do this.', 'In detail.', 'two numbers, both whole.')
    """
    lines = inspect.cleandoc(text or "").split("\n")
    parts: dict[str, list[str]] = {"": []}
    title = ""
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if _UNDERLINE.match(following) and line.strip():
            title = line.strip()
            parts[title] = []
        elif not _UNDERLINE.match(line):
            parts[title].append(line)
    summary, _, description = "\n".join(parts.pop("")).strip().partition("\n")
    parameters = _parameters(parts.pop("Parameters", []))
    sections = {name: "\n".join(body).strip() for name, body in parts.items()}
    return Docstring(summary.strip(), description.strip(), parameters, sections)


def _parameters(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        match = _PARAMETER.match(line)
        if match:
            names = [name.strip() for name in match[1].split(",")]
            found |= dict.fromkeys(names, match[2].strip())
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def plain(text: str) -> str:
    """Return a text without the backquotes of reStructuredText."""
    return _WORD.sub(r"\1", text)

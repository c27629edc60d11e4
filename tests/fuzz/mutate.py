"""Ways to damage a text, plain data and bytes, drawn from a generator."""

from __future__ import annotations

import copy
import re
from random import Random
from typing import Any

ODD_TEXTS = (
    "", "null", "~", "true", "no", "[]", "{}", "[1]", "[a, [b]]", "{a: 1}", "-1", "0", "-0.0", "1e400", "1e-400", ".nan", ".inf", "0x10",
    "010", "1_000", "9" * 80, "1" * 400, "''", '"', "'", "!!str [a]", "!!int x", "!!float {a: 1}", "!!binary xx", "!!set {a}", "!!omap []",
    "!!timestamp 9999-99-99", "!!python/object/apply:os.getcwd []", "!", "*a", "&a x", "<<: *a", "? a", "- ", "-", ":", "#", "|", ">", "%", "@",
    "2026-01-01", "20 mbit/s", "-5 ms", "1e30 s", "5 %", "w{1..8}", "w{1..99999999}", "w{9..1}", "*", "w*->hub", "\\", "\t", "\u202e", "\u0085",
    "\x1b[31m", "é", "\U0001f600", "../../..", "/dev/zero", "a" * 300, "[" * 40, "{{", "}}", "name", "type: single", "x: &x [*x]",
)  # fmt: skip
"""What stands in files by mistake, or on purpose."""
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**70, -(2**70), 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), "", " ", "x", "0", "1 s", "5 %", "-1 B",
    "\x1b[31m", "\ud800", "a" * 300, "w{1..9}", [], [None], [[]], [1, "a"], {}, {"": 0}, {"type": 1}, {"a": {"b": []}}, {"id": "hub"},
)  # fmt: skip
"""What stands in plain data."""


def damaged_bytes(content: bytes, rng: Random) -> bytes:
    """Flip bits, put, take away, double or cut off bytes."""
    result = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.randrange(len(result) + 1)
        length = rng.choice((1, 1, 4, 64))
        match rng.randrange(5):
            case 0 if place < len(result):
                result[place] ^= 1 << rng.randrange(8)
            case 1:
                result[place:place] = rng.randbytes(length)
            case 2:
                del result[place : place + length]
            case 3:
                result[place:place] = result[place : place + length]
            case _ if rng.random() < 0.2:
                del result[place:]
    return bytes(result)


def damaged_text(text: str, rng: Random) -> str:
    """Put odd texts in place of words, move, double and delete lines, change what they are indented by."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(len(lines))
        line = lines[place]
        match rng.randrange(8):
            case 0:
                del lines[place]
            case 1:
                lines.insert(rng.randrange(len(lines) + 1), line)
            case 2:
                lines[place] = " " * rng.randrange(9) + line.lstrip()
            case 3:
                at = rng.randrange(len(line) + 1)
                lines[place] = line[:at] + rng.choice(ODD_TEXTS) + line[at:]
            case 4:
                lines.insert(place, rng.choice(ODD_TEXTS))
            case _:
                lines[place] = _with_other_word(line, rng)
        lines = lines or [""]
    return "\n".join(lines)


def _with_other_word(line: str, rng: Random) -> str:
    words = [*re.finditer(r"[^\s:,;\[\]{}<>]+", line)]
    if not words:
        return rng.choice(ODD_TEXTS)
    word = rng.choice(words)
    return line[: word.start()] + rng.choice((*ODD_TEXTS, *(one[0] for one in words))) + line[word.end() :]


def damaged_data(data: Any, rng: Random) -> Any:
    """Put odd values or other parts of the data in place of parts of it; rename, double and delete entries."""
    result = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = [*_places(result)]
        if not places:
            return rng.choice(ODD_VALUES)
        container, key = rng.choice(places)
        match rng.randrange(6):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[rng.choice((f"{key}s", "", "type", "__class__", "x\x1b"))] = container.pop(key)
            case 1:
                container.insert(key, copy.deepcopy(container[key]))
            case 2:
                other, place = rng.choice(places)
                container[key] = copy.deepcopy(other[place])
            case _:
                container[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    return result


def _places(data: Any) -> Any:
    """Yield every container with each of its keys."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield data, key
        yield from _places(value)

"""Which ids a text selects: glob patterns, with ranges such as ``w{1..4}`` in them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MAX_IDS = 10_000


@lru_cache(maxsize=2**10)
def written_out(text: str) -> tuple[str, ...]:
    """Return what the ranges of a text stand for.

    Raises
    ------
    ValueError
        When a range is empty or too long.

    Examples
    --------
    >>> written_out("w{1..3}->hub")
    ('w1->hub', 'w2->hub', 'w3->hub')
    >>> written_out("row{08..10}")
    ('row08', 'row09', 'row10')
    """
    texts = [""]
    position = 0
    for match in _RANGE.finditer(text):
        first, last = int(match[1]), int(match[2])
        if last < first:
            raise ValueError(f"the range {match[0]} is empty; write the smaller number first")
        if len(texts) * (last - first + 1) > MAX_IDS:
            raise ValueError(f"the range {match[0]} makes more than {MAX_IDS} ids; write a shorter range")
        width = len(match[1]) if match[1].startswith("0") else 0
        before = text[position : match.start()]
        texts = [f"{start}{before}{number:0{width}d}" for start in texts for number in range(first, last + 1)]
        position = match.end()
    return tuple(start + text[position:] for start in texts)


@lru_cache(maxsize=2**10)
def parts_of(pattern: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the plain ids and the glob patterns that a pattern stands for; none when a range in it is wrong."""
    try:
        patterns = written_out(pattern)
    except ValueError:
        return frozenset(), ()
    globs = tuple(one for one in patterns if any(sign in one for sign in "*?["))
    return frozenset(patterns).difference(globs), globs


@lru_cache(maxsize=2**16)
def is_selected(name: str, pattern: str) -> bool:
    """Return whether a pattern selects an id; remembered, since every trial asks for the same ones.

    Examples
    --------
    >>> is_selected("w4", "w*"), is_selected("w4", "w{1..4}"), is_selected("w4->hub", "w{1..3}->*")
    (True, True, False)
    """
    plain, globs = parts_of(pattern)
    return name in plain or any(fnmatchcase(name, one) for one in globs)

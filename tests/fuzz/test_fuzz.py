"""Whatever is damaged in an input, it is read, or refused in words: no traceback, no hang, nothing left behind."""

from __future__ import annotations

import pytest

from .harness import Kind, all_kinds, tally

N = 2_000
"""Mutants of each kind; `python -m tests.fuzz --n 20000` by hand."""


@pytest.mark.parametrize("kind", all_kinds().values(), ids=lambda kind: kind.name)
def test_mutants_are_read_or_refused_in_words(kind: Kind) -> None:
    """The same mutants each time."""
    found = tally(kind, range(N))
    assert not found.failures, "\n".join(f"{failure.number}: {failure.why}" for failure in found.failures[:3])
    assert found.n_read >= N / 100, "hardly a mutant is read: the seeds are wrong"
    assert found.n_refused >= N / 4, "hardly a mutant is refused"

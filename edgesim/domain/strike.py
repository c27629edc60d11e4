"""What failures can do in a trial, and how often."""

from __future__ import annotations

from typing import NamedTuple


class Strike(NamedTuple):
    """Something that a failure model does in some trials, and in others not.

    Parameters
    ----------
    what : in words, e.g. ``"all of 'w*' together"``.
    probability : that it happens in a trial.
    drawn_at : the probability with which it is drawn; another one with importance sampling.
    """

    what: str
    probability: float
    drawn_at: float

"""Nothing is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Nothing:
    """Do nothing: what is lost stays lost, and a request without it fails, waits for its deadline or goes on with less.

    It is the recovery of strategies that name none where others of the scenario do, so that all are measured alike.

    Examples
    --------
    >>> Nothing().again_s(1) is None
    True
    """

    def again_s(self, n_lost: int) -> float | None:  # noqa: ARG002 - the seam's form
        """Return None: it is given up."""
        return None

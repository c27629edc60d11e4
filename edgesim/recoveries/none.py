"""Nothing is done."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.domain.system.detector import Detector


@dataclass(frozen=True, slots=True)
class Nothing:
    """Do nothing: what is lost stays lost, and a request without it fails, waits for its deadline or goes on with less.

    It is the recovery of strategies that name none where others of the scenario do, so that all are measured alike.

    Parameters
    ----------
    detector : finds devices that are down, though nothing is done about them: what it costs, and how well it does. Its options `period`, `timeout`, `size` and `monitor`: see `edgesim.domain.system.detector.Detector`.

    Examples
    --------
    >>> Nothing().again_s(1) is None
    True
    """

    detector: Detector | None = None

    def again_s(self, n_lost: int) -> float | None:  # noqa: ARG002 - the seam's form
        """Return None: it is given up."""
        return None

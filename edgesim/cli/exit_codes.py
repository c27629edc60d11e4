"""What exit codes mean."""

from __future__ import annotations

from edgesim.errors import EdgesimError, NetworkError, PlanError, ResultError, ScenarioError, UnknownNameError

DONE = 0
INCOMPLETE = 1
"""Done, but something in it failed."""
WRONG_INPUT = 2
"""Wrong input or usage; nothing was done."""
FAILED = 3
"""Could not be done: missing data, unwritable folder, internal error."""


def code_of(error: EdgesimError) -> int:
    """Return the exit code of an error that ended a command: the user's input is to blame, or it is not."""
    is_of_input = isinstance(error, (ScenarioError, UnknownNameError, PlanError, ResultError, NetworkError))
    return WRONG_INPUT if is_of_input and not isinstance(error.__cause__, OSError) else FAILED

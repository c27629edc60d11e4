"""What a search may choose from: every strategy of the scenario with every combination of the choices that concern it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim.scenario.form.search import ChoiceSpec
    from edgesim.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Candidate:
    """One strategy with one value of each choice that concerns it.

    Parameters
    ----------
    strategy : its label.
    values : by name of the choice.
    """

    strategy: str
    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        """A text that no other candidate has."""
        return json.dumps([self.strategy, dict(self.values)], sort_keys=True)

    def __str__(self) -> str:
        chosen = ", ".join(f"{name}={show_choice(value)}" for name, value in self.values.items())
        return self.strategy + (f": {chosen}" if chosen else "")


def show_choice(value: Any) -> str:
    """Return a value that may be chosen in short.

    Examples
    --------
    >>> show_choice([2, 4]), show_choice({"type": "kmeans"}), show_choice({"dtype": "int8"}), show_choice("w*")
    ('2x4', 'kmeans', 'int8', 'w*')
    """
    if isinstance(value, list) and all(isinstance(one, int) for one in value):
        return "x".join(map(str, value))
    if isinstance(value, dict) and len(value) == 1:
        return show_choice(next(iter(value.values())))
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Space:
    """All candidates.

    Parameters
    ----------
    strategies : labels.
    choices : by name.
    """

    strategies: tuple[str, ...]
    choices: Mapping[str, ChoiceSpec]

    @cached_property
    def of_strategy(self) -> dict[str, tuple[str, ...]]:
        """The names of the choices that concern each strategy: its own, and those of what is no strategy."""
        return {
            label: tuple(name for name, choice in self.choices.items() if self._concerns(choice.path, label))
            for label in self.strategies
        }

    def _concerns(self, path: str, label: str) -> bool:
        return (
            not path.startswith("strategies.")
            or path.startswith(f"strategies.{label}.")
            or path == f"strategies.{label}"
        )

    def __len__(self) -> int:
        return sum(prod(len(self.choices[name].values) for name in names) for names in self.of_strategy.values())

    def __iter__(self) -> Iterator[Candidate]:
        """Yield every candidate, the last choice fastest."""
        for label, names in self.of_strategy.items():
            for values in product(*(self.choices[name].values for name in names)):
                yield Candidate(label, dict(zip(names, values, strict=True)))

    def at(self, scenario: Scenario, candidate: Candidate) -> Scenario:
        """Return the scenario with a candidate's values. Raises `ScenarioError` when they are not valid together."""
        return scenario.changed({self.choices[name].path: _plain(value) for name, value in candidate.values.items()})


def _plain(value: Any) -> Any:
    """Return a value as the scenario's data has it."""
    return list(value) if isinstance(value, tuple) else value

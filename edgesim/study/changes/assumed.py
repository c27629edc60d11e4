"""The numbers of a scenario that nobody measured, and the scenario with another value in place of one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim import units
from edgesim.scenario.catalog import links as link_classes
from edgesim.scenario.catalog.devices import ALL, assumed_in
from edgesim.scenario.form.paths import with_value
from edgesim.scenario.topology.references import named_profiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.scenario.scenario import Scenario

FACTORS = (0.5, 2.0)
"""By which an assumed number is multiplied."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A number that is assumed.

    Parameters
    ----------
    owner : the device profile, where one without a name stands, or the link class.
    field : which of its numbers, e.g. ``"compute_rate.conv"``.
    value : for people: with three significant digits and its unit.
    paths : where it stands in the scenario, more than once where several links are of the class.
    """

    owner: str
    field: str
    value: str
    paths: tuple[str, ...]

    @property
    def text(self) -> str:
        """What it is, in words."""
        return f"{self.field} of {self.owner}"


def assumed_numbers(scenario: Scenario, given: frozenset[str] = frozenset()) -> list[Assumed]:
    """Return the assumed numbers of the device profiles and link classes that a topology uses, but for zeros.

    A number of a profile is assumed when the profile's ``source`` says so of it (`edgesim.scenario.catalog.devices.assumed_in`); one that a person
    wrote without a source is, since ``source`` is ``assumed`` by default. A number of a link is assumed when it is that of the link class that the
    link extends, and the catalog says "assumed". A number of a link without a class is a person's choice, and a factor's value is the study's.

    Parameters
    ----------
    scenario : at a factor point.
    given : the paths that the sweep sets.
    """
    data = scenario.resolved()
    found = [*_of_profiles(data), *_of_links(data["topology"])]
    return [one for one in found if not given.intersection(one.paths)]


def scaled(scenario: Scenario, number: Assumed, factor: float) -> Scenario:
    """Return the scenario with an assumed number multiplied by a factor. Raises `ScenarioError` when that is not valid."""
    values = {path: _times(_at(scenario.resolved(), path), factor) for path in number.paths}
    found = scenario.variants.at(values)
    if found is not None:
        return found
    data = scenario.resolved()
    for path, value in values.items():
        data = with_value(data, path, value)
    return type(scenario).from_data(data)


def _of_profiles(data: dict[str, Any]) -> Iterator[Assumed]:
    used = {name for _, name in named_profiles(data["topology"])}
    profiles = [(name, f"profiles.{name}", profile) for name, profile in data["profiles"].items() if name in used]
    inline = [(path, entry) for path, entry in _mappings(data["topology"], "topology") if "compute_rate" in entry]
    profiles += [(path, path, entry) for path, entry in inline]
    for owner, path, profile in profiles:
        said = assumed_in(profile["source"])
        for field, value in _numbers(profile):
            if ALL in said or field in said or field.partition(".")[0] in said:
                yield Assumed(owner, field, _shown(value), (f"{path}.{field}",))


def _of_links(topology: dict[str, Any]) -> Iterator[Assumed]:
    places: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for path, entry in _mappings(topology, "topology"):
        name = entry.get("extends")
        if not isinstance(name, str):
            continue
        own, by_class = dict(_numbers(entry)), dict(_numbers(link_classes.entry(name)))
        for field, text in link_classes.references(name).items():
            if "assumed" in text and field in own and _is_same(own[field], by_class.get(field, "")):
                places[name, field, own[field]].append(f"{path}.{field}")
    for (name, field, value), paths in places.items():
        yield Assumed(name, field, _shown(value), tuple(paths))


def _mappings(data: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping in plain data with its path, the outer ones first."""
    if isinstance(data, dict):
        yield path, data
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from _mappings(value, f"{path}.{key}")


def _numbers(data: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the numbers in plain data by field, but for zeros, as texts with their units."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{before}{key}.")
        elif (isinstance(value, int) and not isinstance(value, bool) and value) or (
            isinstance(value, str) and _number(value)
        ):
            yield before + key, str(value)


def _number(text: str) -> float:
    """Return the number at the start of a text, 0 without one."""
    try:
        return float(text.partition(" ")[0])
    except ValueError:
        return 0.0


def _shown(value: str) -> str:
    number, _, unit = value.partition(" ")
    return units.show(float(number), unit) if unit else f"{value} (count)"


def _is_same(own: str, by_class: str) -> bool:
    number, _, unit = own.partition(" ")
    if not unit or not by_class:
        return own == by_class
    return units.parse(by_class, unit) == float(number)


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


def _times(value: Any, factor: float) -> Any:
    """Return a number, or a text of one with its unit, multiplied; bytes and counts stay whole, and at least 1."""
    if isinstance(value, int):
        return max(1, round(value * factor))
    number, _, unit = value.partition(" ")
    product = float(number) * factor
    return f"{max(1, round(product))} {unit}" if unit == "byte" else f"{product!r} {unit}"

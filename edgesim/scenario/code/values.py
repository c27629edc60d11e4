"""A quick check of the values of a factor that varies an option of a plug-in: the rest of the scenario is not read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from edgesim.errors import PlanError
from edgesim.interfaces import Checkable
from edgesim.scenario.build import build_topology
from edgesim.scenario.form.options import PluginOf
from edgesim.scenario.text.paths import split, with_value
from edgesim.scenario.topology.expand import outline
from edgesim.scenario.topology.references import plugin_references

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgesim.scenario.form.schema import Scenario


def quick_check(scenario: Scenario, data: dict[str, Any], path: str) -> Callable[[object], bool]:
    """Return a function that says whether the scenario is surely valid with a value at a path; it may say no too often.

    Parameters
    ----------
    scenario : the valid scenario.
    data : its plain data.
    path : where the value stands.
    """
    seam, *below = split(path)
    if seam not in {"strategies", "failures"} or len(below) < 2 or scenario.engine == "array":
        return lambda _: False
    label = str(below[0])
    read = PluginOf(str(seam)).read
    topology = build_topology(scenario.topology, scenario.profiles, scenario.seed)
    known = outline(data["topology"], scenario.seed)
    plugins = {seam: {label: data[seam][label]}}

    def is_valid(value: object) -> bool:
        changed = with_value(plugins, path, value)[str(seam)]
        try:
            plugin = read(changed[label])
            if isinstance(plugin, Checkable):
                plugin.check(topology)
        except (PlanError, PydanticCustomError, ValidationError):
            return False
        return not any(plugin_references(changed, str(seam), known))

    return is_valid

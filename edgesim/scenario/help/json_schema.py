"""The JSON schema of scenario files, with which editors complete and check them.

It is made from the pydantic models and the options of all registered plug-ins, so that it says what `edgesim validate` says, as
far as JSON schema can: names of devices, sums of shares and the like are beyond it.
"""

from __future__ import annotations

import copy
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from edgesim.registry import REGISTRIES
from edgesim.scenario.catalog import devices as catalog
from edgesim.scenario.catalog import links as link_classes
from edgesim.scenario.form.options import find_plugin, options_model
from edgesim.scenario.schema import ScenarioSpec
from edgesim.scenario.text.docstrings import plain, read_docstring

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXTENDS = {
    "type": "string",
    "description": "scenario file that this one changes; mappings are merged key by key, all else is replaced",
    "examples": ["wearables.yaml"],
}
_TEMPLATE = "#/$defs/{model}"
_LABELLED = ("strategies", "failures")


def json_schema() -> dict[str, Any]:
    """Return the schema of scenario files, draft 2020-12."""
    return _Writer().write()


class _Writer:
    """Collects definitions while the forms are written."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def write(self) -> dict[str, Any]:
        whole = ScenarioSpec.model_json_schema(by_alias=True, ref_template=_TEMPLATE, schema_generator=_WithoutTitles)
        self.definitions |= self._filled(whole.pop("$defs", {}))
        self.definitions["Scenario"] = self._labelled(self._filled(whole))
        self._profiles()
        self._link_classes()
        self._shape_only()
        partial = _without_required(self.definitions)
        partial["PartScenario"]["properties"]["extends"] = EXTENDS
        partial["PartScenario"]["required"] = ["extends"]
        for seam in _LABELLED:  # null takes away what the other file has
            labels = partial["PartScenario"]["properties"][seam]
            labels["additionalProperties"] = {"anyOf": [{"type": "null"}, labels["additionalProperties"]]}
        return {
            "$schema": DIALECT,
            "title": "edgesim scenario",
            "description": "A system of devices, what is asked of it, the strategies to compare, and what is varied.",
            "if": {"type": "object", "required": ["extends"]},
            "then": _ref("PartScenario"),
            "else": _ref("Scenario"),
            "$defs": dict(sorted({**self.definitions, **partial}.items())),
        }

    def _filled(self, form: Any) -> Any:
        """Replace the marks of plug-ins and options by their forms."""
        if isinstance(form, list):
            return [self._filled(item) for item in form]
        if not isinstance(form, dict):
            return form
        rest = {key: self._filled(value) for key, value in form.items() if not key.startswith("x-edgesim")}
        if "x-edgesim-plugin" in form:
            seam = form["x-edgesim-plugin"]
            return {**self._plugins(seam), "examples": list(REGISTRIES[seam].names()[:1]), **rest}
        if "x-edgesim-options" in form:
            return {**self._options_of(form["x-edgesim-options"]), **rest}
        return rest

    def _plugins(self, seam: str) -> dict[str, Any]:
        """Return a reference to the choice of a seam's plug-ins, by name or by a mapping with ``type``."""
        name = f"{seam}: any"
        if name not in self.definitions:
            self.definitions[name] = {}  # plug-ins may hold plug-ins of their own seam
            names = REGISTRIES[seam].names()
            choices: list[Any] = [
                {"enum": list(names)} if names else {"type": "string"},
                *(self._plugin(seam, one, is_typed=True) for one in names),
            ]
            if seam == "rates":  # a list, or a mapping without a type, is one of steps
                steps = self._plugin(seam, "steps", is_typed=False)
                choices += [steps, {"type": "array", "items": _ref("RateStep")}]
            self.definitions[name] = {"anyOf": choices}
        return _ref(name)

    def _plugin(self, seam: str, name: str, *, is_typed: bool) -> dict[str, Any]:
        """Return a reference to the options of one plug-in; without `is_typed` the label says the type."""
        key = f"{seam}: {name}" + ("" if is_typed else " by label")
        if key not in self.definitions:
            self.definitions[key] = {}
            plugin = find_plugin(seam, name)
            form = self._options(plugin)
            kind = {"const": name, "description": f"this {REGISTRIES[seam].kind}"}
            form["properties"] = {"type": kind, **form.get("properties", {})}
            form["required"] = [*(["type"] if is_typed else []), *form.get("required", [])]
            form["description"] = plain(read_docstring(plugin.__doc__).summary)
            self.definitions[key] = form
        return _ref(key)

    def _options_of(self, place: str) -> dict[str, Any]:
        from importlib import import_module

        module, _, name = place.partition(":")
        if name not in self.definitions:
            owner = getattr(import_module(module), name)
            self.definitions[name] = self._options(owner)
            self.definitions[name]["description"] = plain(read_docstring(owner.__doc__).summary)
        return _ref(name)

    def _options(self, owner: type) -> dict[str, Any]:
        model = options_model(owner)
        form = model.model_json_schema(by_alias=True, ref_template=_TEMPLATE, schema_generator=_WithoutTitles)
        self.definitions |= self._filled(form.pop("$defs", {}))
        filled: dict[str, Any] = self._filled(form)
        return filled

    def _labelled(self, form: dict[str, Any]) -> dict[str, Any]:
        """Let labels that are names of plug-ins have these plug-ins' options, also without ``type``."""
        for seam in _LABELLED:
            properties = {}
            for name in REGISTRIES[seam].names():
                by_label = [{"type": "null"}, self._plugin(seam, name, is_typed=False), self._plugins(seam)]
                properties[name] = {"anyOf": by_label, "description": REGISTRIES[seam].summary(name)}
            form["properties"][seam]["properties"] = properties
        for seam in (*_LABELLED, "sweep", "profiles", "plugins"):
            entry = form["properties"][seam]
            for pattern, value in entry.pop("patternProperties", {}).items():
                entry["propertyNames"] = {"pattern": pattern, "maxLength": 60}
                entry["additionalProperties"] = value
            if seam == "strategies":
                continue
            if "type" in entry:
                entry["type"] = [entry["type"], "null"]
        return form

    def _shape_only(self) -> None:
        """Let a workload have ``input`` and ``classes`` in place of a data set."""
        workload = self.definitions["WorkloadSpec"]
        short = self.definitions["datasets: shape-only"]["properties"]
        workload["properties"] |= {key: short[key] for key in ("input", "classes", "values")}
        workload["required"] = [key for key in workload["required"] if key != "dataset"]
        workload["anyOf"] = [{"required": ["dataset"]}, {"required": ["input", "classes"]}]

    def _profiles(self) -> None:
        """Offer the names of the catalog, and let a profile extend one."""
        own = self.definitions["ProfileSpec"]
        names = {"enum": list(catalog.names()), "description": "profile of the catalog", "examples": ["phone"]}
        short = {**copy.deepcopy(own), "required": ["extends"]}
        short["properties"] = {"extends": names, **short["properties"]}
        for part in ("RatesSpec", "PowerSpec"):
            self.definitions[f"{part} in part"] = {**copy.deepcopy(self.definitions[part]), "required": []}
        for key, part in (("compute_rate", "RatesSpec"), ("power", "PowerSpec")):
            short["properties"][key] = {**short["properties"][key], **_ref(f"{part} in part")}
        self.definitions["ProfileSpec"] = {"anyOf": [short, own], "description": own["description"]}

    def _link_classes(self) -> None:
        """Offer the names of the catalog, and let links leave out the bandwidth that a class has."""
        for form in self.definitions.values():
            properties = form.get("properties", {})
            if {"extends", "medium"} <= properties.keys():
                properties["extends"]["anyOf"] = [{"enum": list(link_classes.names())}, {"type": "null"}]
                if "bandwidth" in form.get("required", ()):
                    form["required"] = [key for key in form["required"] if key != "bandwidth"]
                    form["anyOf"] = [{"required": ["bandwidth"]}, {"required": ["extends"]}]


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out titles, which only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the generator's form
        return False

    def generate(self, schema: Any, mode: Any = "validation") -> Any:
        return _untitled(super().generate(schema, mode))


def _untitled(form: Any) -> Any:
    if isinstance(form, list):
        return [_untitled(item) for item in form]
    if isinstance(form, dict):
        return {key: _untitled(value) for key, value in form.items() if key != "title" or not isinstance(value, str)}
    return form


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _TEMPLATE.format(model=name.replace(" ", "%20"))}


def _without_required(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return copies of all definitions for a file that says only what it changes."""

    def loosened(form: Any) -> Any:
        if isinstance(form, list):
            return [loosened(item) for item in form]
        if not isinstance(form, dict):
            return form
        return {
            key: value.replace("#/$defs/", "#/$defs/Part") if key == "$ref" else loosened(value)
            for key, value in form.items()
            if key != "required"
        }

    return {f"Part{name}": loosened(form) for name, form in definitions.items()}

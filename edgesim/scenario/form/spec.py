"""What all parts of a scenario's form have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from edgesim.scenario.form.options import CONFIG


class Spec(BaseModel):
    """A part of a scenario."""

    model_config = CONFIG


def without_defaults(spec: Spec, written: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Leave out keys that have their default, so that keys of later versions change no hash of an older scenario."""
    fields = type(spec).model_fields
    kept = {
        name for name, value in spec if name in names and value != fields[name].get_default(call_default_factory=True)
    }
    return {key: value for key, value in written.items() if key not in names or key in kept}

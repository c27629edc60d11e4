"""The JSON schema of scenario files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgesim.scenario.help.json_schema import json_schema
from edgesim.scenario.text.yaml import read_file

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
COMMITTED = ROOT / "docs" / "scenario.schema.json"


@pytest.fixture(scope="module")
def editor() -> jsonschema.Draft202012Validator:
    """What an editor does with the schema."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def test_the_committed_schema_is_the_present_one() -> None:
    """After a change of the form or of options: `edgesim schema > docs/scenario.schema.json`."""
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == SCHEMA


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_scenarios_fit_it(path: Path, editor: jsonschema.Draft202012Validator) -> None:
    """No finding in the editor."""
    assert list(editor.iter_errors(dict(read_file(path).data))) == []


@pytest.mark.parametrize(
    "name",
    ["choices", "five_mistakes", "missing_keys", "misspelt_keys", "types", "units", "unknown_names", "wrong_shapes"],
)
def test_broken_scenarios_do_not_fit_it(name: str, editor: jsonschema.Draft202012Validator) -> None:
    """Unknown and missing keys, types, units, names of plug-ins."""
    data = dict(read_file(ROOT / "tests" / "data" / "broken" / f"{name}.yaml").data)
    assert list(editor.iter_errors(data))


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        ({}, True),
        ({"strategies": {"single": None}}, True),
        ({"strategies": {"alone": {"type": "single", "device": "hub"}}}, True),
        ({"strategies": {"alone": {"device": "hub"}}}, False),
        ({"strategies": {"nonn": {"studens": 3}}}, False),
        ({"topology": {"star": {"count": 3, "profile": "wearable", "bandwidth": "1 Mbit/s"}}}, True),
        ({"topology": {"star": {"count": 0, "profile": "wearable", "bandwidth": "1 Mbit/s"}}}, False),
        ({"topology": {"star": {"count": 3, "profile": "wearable", "bandwidth": "1"}}}, False),
        (
            {
                "topology": {
                    "star": {"count": 3, "profile": {"extends": "phone", "memory": "1 GiB"}, "bandwidth": "1 Mbit/s"}
                }
            },
            True,
        ),
        ({"topology": {"star": {"count": 3, "profile": {"extends": "fone"}, "bandwidth": "1 Mbit/s"}}}, False),
        ({"failures": None}, True),
    ],
)
def test_single_changes(
    change: dict[str, Any], is_valid: object, small: dict[str, Any], editor: jsonschema.Draft202012Validator
) -> None:
    """What it lets through and what it stops."""
    assert editor.is_valid({**small, **change}) == is_valid


def test_a_file_that_extends_another_says_only_what_it_changes(editor: jsonschema.Draft202012Validator) -> None:
    """Nothing is required, but keys and values are checked."""
    assert editor.is_valid(
        {"extends": "a.yaml", "workload": {"training": {"epochs": 3}}, "strategies": {"modnn": {"workers": "v*"}}}
    )
    assert not editor.is_valid({"extends": "a.yaml", "workload": {"training": {"epoch": 3}}})
    assert not editor.is_valid({"workload": {"training": {"epochs": 3}}})


def _fields(form: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    if isinstance(form, dict):
        found += [(f"{path}.{name}", value) for name, value in form.get("properties", {}).items()]
        for key, value in form.items():
            found += _fields(value, f"{path}.{key}")
    elif isinstance(form, list):
        found = [one for item in form for one in _fields(item, path)]
    return found


def test_every_field_has_a_description_and_an_example() -> None:
    """Or leads to what has them: choices, plug-ins and nested forms."""
    definitions = {name: form for name, form in SCHEMA["$defs"].items() if not name.startswith("Part")}
    fields = _fields(definitions)
    assert len(fields) > 150
    without = [path for path, form in fields if not form.get("description")]
    leads_on = ("$ref", '"const"', '"enum"')
    bare = [
        path
        for path, form in fields
        if not form.get("examples") and not any(sign in json.dumps(form) for sign in leads_on)
    ]
    assert (without, bare) == ([], [])


def test_quantities_fit_their_pattern_exactly_when_they_can_be_read(
    editor: jsonschema.Draft202012Validator, small: dict[str, Any]
) -> None:
    """The regular expression is that of the parser."""
    for text, is_valid in {
        "20 Mbit/s": True, "2.5e6 bit/s": True, "20MB/s": True, "1 Kibit/s": True, "20": False, "20 ms": False, "Mbit/s": False,
        "20 Mbit/s or so": False, "20 Mibit": False,
    }.items():  # fmt: skip
        data = copy.deepcopy(small)
        data["topology"]["links"][0]["bandwidth"] = text
        assert editor.is_valid(data) is is_valid, text

"""``manifest.json`` on the disk: sealed when it is written, and checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from edgesim.errors import ResultError
from edgesim.files import write_text
from edgesim.study.parts import NOT_WHOLE
from edgesim.study.seal import OPEN_SEAL, is_whole, sealed

MANIFEST = "manifest.json"
FORMAT = 3
"""Raised when the layout of the result folder changes."""
EMPTIED = "emptied"
"""State of a folder whose old results are being removed."""
SEAL = "seal"
_AGAIN = "run the scenario again: parts that are whole are kept"


class DamagedManifestError(ResultError):
    """A manifest is there, and cannot be trusted."""


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("it lies outside of the result folder")
    return name


class _Form(BaseModel):
    """Types are those of the file: nothing is converted."""

    model_config = ConfigDict(strict=True)


class _File(_Form):
    name: Annotated[str, AfterValidator(_inside)]
    size_byte: int
    sha256: str


class _Platform(_Form):
    system: str
    machine: str
    processors: int


class _Deployment(_Form):
    strategy: str
    description: dict[str, Any]


class _Engine(_Form):
    strategy: str
    engine: Literal["array", "event"]
    trials: int
    by_events: int
    why: str


class _Learnt(_Form):
    network: str
    warning: str


class _Intact(_Form):
    strategy: str
    outcome: str


class _Started(_Form):
    """What readers rely on in the manifest of any study."""

    command: str
    name: str
    question: str
    hash: str
    seed: int
    replications: int | str
    factors: list[str]
    versions: dict[str, str]
    scenario: dict[str, Any]


class _Complete(_Started):
    """What readers rely on when it is finished."""

    started: str
    finished: str
    platform: _Platform
    deployments: list[_Deployment]
    engines: list[_Engine]
    learnt: list[_Learnt]
    intact: list[_Intact]
    files: list[_File]


_FORMS: dict[object, type[_Form]] = {"unfinished": _Started, "complete": _Complete, EMPTIED: _Started}
"""By status."""


def digest_of(made_by: Mapping[str, Any]) -> str:
    """Return one short text for what determines the results, which stands in each part."""
    return sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest of a result folder, sealed. Raises `ResultError` as `edgesim.files.replacing`."""
    text = json_text({**content, SEAL: OPEN_SEAL})
    write_text(folder / MANIFEST, sealed(text.encode()).decode())


def json_text(content: Mapping[str, Any]) -> str:
    """Return plain values as JSON, which is YAML too."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a result folder.

    Raises
    ------
    ResultError
        When there is none.
    DamagedManifestError
        When it cannot be read, is of another format, is not what was written, or lacks something; it says all that is wrong.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ResultError(f"there is no folder {folder}; `edgesim results list` shows results")
    if not path.is_file():
        raise ResultError(f"{folder} is not a result folder of edgesim: it holds no {MANIFEST}")
    try:
        text = path.read_bytes()
        content = json.loads(text.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedManifestError(f"{path} cannot be read ({error}); {_AGAIN}") from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise DamagedManifestError(
            f"{path} is of format {content['format']!r}, this edgesim reads format {FORMAT}; remove the folder and run the scenario again"
        )
    if not is_whole(text):
        raise DamagedManifestError(f"{path}: {NOT_WHOLE}, or somebody edited it; {_AGAIN}")
    faults = _faults(content)
    if faults:
        raise DamagedManifestError(f"{path} is damaged: {'; '.join(faults)}; {_AGAIN}")
    return dict(content)


def _faults(content: object) -> list[str]:
    """Return what readers would miss in a manifest."""
    if not isinstance(content, dict):
        return ["it holds no keys"]
    form = _FORMS.get(str(content.get("status")))
    if form is None:
        return [f"status {content.get('status')!r} is none of {', '.join(map(str, _FORMS))}"]
    try:
        form.model_validate(content)
    except ValidationError as error:
        return [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        ]
    return []

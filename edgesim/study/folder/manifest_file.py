"""``manifest.json`` on the disk: sealed when it is written, and checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Le, Len
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from edgesim.domain.metrics import UNITS
from edgesim.errors import ResultError, visible
from edgesim.files.untrusted import hidden_in
from edgesim.files.whole import write_text
from edgesim.study.folder.seal import NOT_WHOLE, OPEN_SEAL, is_whole, sealed

MANIFEST = "manifest.json"
FORMAT = 3
"""Raised when the layout of the result folder changes."""
EMPTIED = "emptied"
"""State of a folder whose old results are being removed."""
SEAL = "seal"
_AGAIN = "run the scenario again: parts that are whole are kept"


MOST_BYTE = 1 << 28
"""A larger manifest is not read."""
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$", max_length=60)]
Finite = Annotated[int | float, Ge(-1e60), Le(1e60)]


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
    """Beside these, the values of factors and metrics."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Finite | bool | str | None]

    strategy: str
    outcome: str


class _Factor(_Form):
    path: str


class _Plugin(_Form):
    type: str


class _Profile(_Form):
    source: str


class _Workload(_Form):
    source: str
    sink: str
    load: dict[str, Any] | None = None


class _Scenario(_Form):
    """What readers rely on in the resolved scenario, which its own form would refuse where plug-ins are not installed."""

    name: str
    question: str
    profiles: dict[str, _Profile]
    topology: dict[str, Any]
    workload: _Workload
    strategies: dict[Label, _Plugin]
    failures: dict[Label, _Plugin]
    sweep: dict[Label, _Factor]


class _Stop(_Form):
    replications: int
    is_met: bool
    rare: list[str]


class _Rare(_Form):
    what: str


class _Infeasible(_Form):
    strategy: str
    device: str
    needed_byte: Annotated[int, Ge(0), Le(10**30)]
    available_byte: Annotated[int, Ge(0), Le(10**30)]


class _Started(_Form):
    """What readers rely on in the manifest of any study."""

    command: str
    name: str
    question: str
    hash: str
    seed: int
    replications: int | str
    factors: list[Label]
    versions: dict[str, str]
    scenario: dict[str, Any]


class _Score(_Form):
    name: Label
    label: str
    unit: str
    summary: str
    formula: str
    validity: str
    source: str
    lowest: float | None
    highest: float | None
    is_share: bool
    is_larger_better: bool


class _Complete(_Started):
    """What readers rely on when it is finished."""

    started: str
    finished: str
    platform: _Platform
    deployments: list[_Deployment]
    engines: list[_Engine]
    learnt: list[_Learnt]
    scores: Annotated[list[_Score], Len(1)]
    intact: list[_Intact]
    files: list[_File]
    scenario: _Scenario  # type: ignore[assignment]
    stopping: list[_Stop] = []
    rare: list[_Rare] = []
    infeasible: list[_Infeasible] = []

    @model_validator(mode="after")
    def _factors_are_swept(self) -> Self:
        """Refuse factors of another scenario."""
        if list(self.scenario.sweep) != self.factors or "edgesim" not in self.versions:
            raise ValueError("factors are not those of the scenario, or the version of edgesim is missing")
        return self

    @model_validator(mode="after")
    def _intact_is_complete(self) -> Self:
        """Refuse what lacks a strategy, a factor or a metric when nothing is lost."""
        by_point: dict[str, set[str]] = {}
        for one in self.intact:
            values = one.model_extra or {}
            point = [values.get(name) for name in self.factors]
            if None in point:
                raise ValueError("intact lacks a factor")
            if any(isinstance(values.get(name), (str, bool)) for name in (*(one.name for one in self.scores), *UNITS)):
                raise ValueError("intact has metrics that are no numbers")
            by_point.setdefault(repr(point), set()).add(one.strategy)
        if not by_point or any(found != set(self.scenario.strategies) for found in by_point.values()):
            raise ValueError("intact has not the strategies of the scenario at each factor point")
        return self


_FORMS: dict[object, type[_Form]] = {"unfinished": _Started, "complete": _Complete, EMPTIED: _Started}
"""By status."""


def digest_of(made_by: Mapping[str, Any]) -> str:
    """Return one short text for what determines the results, which stands in each part; it is the same wherever files lie."""
    known = {key: value for key, value in made_by.items() if key != "scenario"}  # its hash is among them
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest of a result folder, sealed. Raises `ResultError` as `edgesim.files.whole.replacing`."""
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
        if path.stat().st_size > MOST_BYTE:
            raise ValueError(f"it has more than {MOST_BYTE:,} byte")
        text = path.read_bytes()
        content = json.loads(text.decode("utf-8"))
        hidden = next(hidden_in(content), None)
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedManifestError(f"{path} cannot be read ({error}); {_AGAIN}") from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise DamagedManifestError(
            f"{path} is of format {content['format']!r}, this edgesim reads format {FORMAT}; remove the folder and run the scenario again"
        )
    if hidden is not None:
        raise DamagedManifestError(
            f"{path} is damaged: {visible('.'.join(map(str, hidden)))!r} has characters that are not printable; {_AGAIN}"
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

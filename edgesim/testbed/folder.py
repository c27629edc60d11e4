"""A folder for each device: its steps as JSON, its weights as safetensors, and a checksum of each file. It holds no code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edgesim.domain.plan import Compute, Transfer
from edgesim.errors import DataError, PlanError
from edgesim.files.whole import replacing, write_text, writing
from edgesim.testbed.devices import DeviceBundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


STEPS, WEIGHTS, SUMS = "steps.json", "weights.safetensors", "checksums.json"
_REMEDY = "export the scenario anew"


def folder_name(name: str) -> str:
    """Return the name of the folder of a strategy or device: any text, without what a file system would take for more.

    >>> folder_name("w1"), folder_name("../a b")
    ('w1', '..%2Fa%20b')
    """
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def write_device(bundle: DeviceBundle, folder: Path) -> None:
    """Write what a device executes into a folder, which is made.

    Raises
    ------
    ResultError
        When it cannot be written.
    """
    from safetensors.torch import save_file

    with writing(folder):
        folder.mkdir(parents=True)
    weights = {
        f"{prefix}/{name}": tensor
        for prefix, step_id in _places(bundle.computes, bundle.sends).items()
        for name, tensor in (bundle.programs[step_id].weights.items() if step_id in bundle.programs else ())
    }
    write_text(folder / STEPS, json.dumps(_document(bundle), indent=1, allow_nan=False) + "\n")
    with replacing(folder / WEIGHTS) as temporary:
        save_file(weights, temporary)
    sums = {name: _sum(folder / name) for name in (STEPS, WEIGHTS)}
    write_text(folder / SUMS, json.dumps({"sha256": sums}, indent=1) + "\n")


def _places(computes: Sequence[Compute], sends: Sequence[Transfer]) -> dict[str, str]:
    """Return steps by what stands in front of the names of their weights."""
    found = {f"{number}": step.step_id for number, step in enumerate(computes)}
    return found | {f"send{number}": step.step_id for number, step in enumerate(sends)}


def _document(bundle: DeviceBundle) -> dict[str, Any]:
    return {
        "device": bundle.device_id,
        "answer": bundle.answer_id,
        "computes": [
            {
                **{name: value for name, value in asdict(step).items() if name not in {"work", "device_id"}},
                "kernel": bundle.programs[step.step_id].document(),
            }
            for step in bundle.computes
        ],
        "sends": [
            {**asdict(transfer), **({"kernel": bundle.programs[name].document()} if name in bundle.programs else {})}
            for transfer in bundle.sends
            for name in (transfer.step_id,)
        ],
        "receives": [asdict(transfer) for transfer in bundle.receives],
    }


def read_device(folder: Path) -> DeviceBundle:
    """Return what a device executes, from its folder.

    Raises
    ------
    DataError
        When a file is missing, is not the one that was written, or holds what is no bundle.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = _checked(folder)
    try:
        document = json.loads(content[STEPS])
        weights = load(content[WEIGHTS])
        return _read(document, weights)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, PlanError) as error:
        raise DataError(f"{folder} is no bundle of a device: {error!r}; {_REMEDY}") from error


def _checked(folder: Path) -> dict[str, bytes]:
    """Return the content of the files, each with the checksum that was written."""
    try:
        content = {name: (folder / name).read_bytes() for name in (STEPS, WEIGHTS, SUMS)}
    except OSError as error:
        raise DataError(
            f"{error.filename}: {error.strerror}; a bundle has {STEPS}, {WEIGHTS} and {SUMS}; {_REMEDY}"
        ) from error
    try:
        sums = dict(json.loads(content.pop(SUMS))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / SUMS} holds no checksums; {_REMEDY}") from error
    for name, found in content.items():
        if hashlib.sha256(found).hexdigest() != sums.get(name):
            raise DataError(f"{folder / name} is not as it was written: its SHA-256 is another; {_REMEDY}")
    return content


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(document: dict[str, Any], weights: dict[str, Any]) -> DeviceBundle:
    from edgesim.nn.kernels.program import Program

    computes = tuple(Compute(device_id=document["device"], **_fields(one)) for one in document["computes"])
    sends, receives = (tuple(Transfer(**_fields(one)) for one in document[side]) for side in ("sends", "receives"))
    written = {one["step_id"]: one["kernel"] for one in (*document["computes"], *document["sends"]) if "kernel" in one}
    programs = {
        step_id: Program.read(
            written[step_id],
            {name.partition("/")[2]: one for name, one in weights.items() if name.partition("/")[0] == prefix},
        )
        for prefix, step_id in _places(computes, sends).items()
        if step_id in written
    }
    return DeviceBundle(document["device"], computes, sends, receives, programs, document["answer"])


def _fields(one: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in one.items() if name != "kernel"}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value

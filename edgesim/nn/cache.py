"""Trained networks on disk, found by the hash of all that determined their weights.

An entry is two files: ``KEY.safetensors`` holds the weights, ``KEY.json`` the card (what was trained on what, with which
options, seed and versions; how good it is; the hash of the weights). The card is written last and each file under a temporary name
first, so that an entry with a card is complete even if the process is killed or two processes train the same network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from edgesim.domain.model import Dataset

RECIPE = 2
"""Part of every key. Raise it when a change of the training code, or of a default, changes the weights that come out."""
FOLDER_VARIABLE = "EDGESIM_CACHE_DIR"
"""Environment variable that moves the cache."""


def provenance(kind: str, **determinants: object) -> dict[str, Any]:
    """Return what determines a network's weights, as plain JSON values, versions included.

    Parameters
    ----------
    kind : what is trained, e.g. ``"teacher"``.
    determinants : data set fingerprint, model, options, seed. Plug-ins are written with their class and fields.

    Raises
    ------
    DataError
        When a value is neither a JSON value nor a dataclass, since its content cannot be hashed.
    """
    versions = {"edgesim": version("edgesim"), "torch": version("torch"), "recipe": RECIPE}
    return {"kind": kind, "versions": versions, **{name: _plain(value) for name, value in determinants.items()}}


def content_key(determinants: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a provenance, in hex.

    Of the versions only the recipe counts: another release of torch gives other last digits, not another network, and
    published networks stay usable. Options that have their default are left out, so that an option that is added later,
    with a default that changes nothing, changes no key.
    """
    recipe = determinants.get("versions", {}).get("recipe")
    content = {name: _without_defaults(value) for name, value in determinants.items() if name != "versions"}
    return hashlib.sha256(json.dumps([recipe, content], sort_keys=True).encode()).hexdigest()


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of all samples and labels of a data set, in hex."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        for array in (split.inputs, split.labels):
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class NetworkCache:
    """A folder of trained networks.

    Parameters
    ----------
    folder : made when the first network is stored.
    """

    folder: Path

    @classmethod
    def default(cls) -> NetworkCache:
        """Return the cache of this user: ``$EDGESIM_CACHE_DIR`` if set, else the platform's cache directory for edgesim."""
        import platformdirs

        base = os.environ.get(FOLDER_VARIABLE) or platformdirs.user_cache_dir("edgesim")
        return cls(Path(base) / "networks")

    def load(self, key: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return the weights and the card of a network, or None when it is not there, incomplete or damaged.

        A damaged entry counts as missing: training is deterministic, so storing it anew restores it.
        """
        from safetensors.torch import load

        try:
            card = json.loads(self._card_path(key).read_text(encoding="utf-8"))
            weights = self._weights_path(key).read_bytes()
        except (OSError, ValueError):
            return None
        if not isinstance(card, dict) or hashlib.sha256(weights).hexdigest() != card.get("weights_sha256"):
            return None
        return load(weights), card

    def store(
        self,
        key: str,
        state: Mapping[str, torch.Tensor],
        determinants: Mapping[str, Any],
        metrics: Mapping[str, float],
        labels: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a network and its card.

        Parameters
        ----------
        key : `content_key` of the determinants.
        state : the weights, by name.
        determinants : see `provenance`.
        metrics : e.g. accuracies.
        labels : what helps a reader but does not determine the weights, e.g. the name and licence of the data.
        """
        from safetensors.torch import save

        weights = save({name: tensor.detach().contiguous() for name, tensor in state.items()})
        card = {
            "key": key,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "determined_by": dict(determinants),
            "about": dict(labels or {}),
            "metrics": dict(metrics),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "weights_byte": len(weights),
        }
        write_atomically(self._weights_path(key), weights)
        write_atomically(self._card_path(key), (json.dumps(card, indent=2) + "\n").encode())
        self.checkpoint_path(key).unlink(missing_ok=True)

    def checkpoint_path(self, key: str) -> Path:
        """Return where an unfinished training of this network keeps its state."""
        return self.folder / f"{key}.checkpoint"

    def cards(self) -> list[dict[str, Any]]:
        """Return the cards of all complete networks, the oldest first; cards that cannot be read are left out."""
        found = []
        for path in self.folder.glob("*.json"):
            try:
                card = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(card, dict) and card.get("key") == path.stem and self._weights_path(path.stem).is_file():
                found.append(card)
        return sorted(found, key=lambda card: (str(card.get("created")), card["key"]))

    def leftovers(self) -> list[Path]:
        """Return what is no network: states of unfinished trainings, and teachers' answers that are kept for students."""
        return sorted([*self.folder.glob("*.checkpoint"), *self.folder.glob("lessons-*.npz")])

    def key_of(self, prefix: str) -> str:
        """Return the whole key of a network, given its beginning.

        Raises
        ------
        DataError
            When no network or more than one begins with it.
        """
        keys = [card["key"] for card in self.cards() if card["key"].startswith(prefix)]
        if len(keys) == 1:
            return str(keys[0])
        if not keys:
            raise DataError(
                f"no network in {self.folder} has a key that begins with {prefix!r}; `edgesim models` lists them"
            )
        raise DataError(f"{len(keys)} networks have keys that begin with {prefix!r}; write more of it")

    def remove(self, key: str) -> None:
        """Forget a network; its card goes first, so that what is left of an interrupted removal counts as missing."""
        self._card_path(key).unlink(missing_ok=True)
        self._weights_path(key).unlink(missing_ok=True)

    def export(self, key: str, folder: Path) -> tuple[Path, Path]:
        """Copy a network's weights and card to a folder, and return their paths.

        Raises
        ------
        DataError
            When the network is missing or damaged, or the folder cannot be written.
        """
        if self.load(key) is None:
            raise DataError(f"network {key} is not in {self.folder}, or is damaged")
        copy = NetworkCache(folder)
        for own, other in ((self._weights_path, copy._weights_path), (self._card_path, copy._card_path)):
            write_atomically(other(key), own(key).read_bytes())
        return copy._weights_path(key), copy._card_path(key)

    def take_in(self, card_path: Path) -> str:
        """Copy a network from the card and the weights beside it into the cache, and return its key.

        Raises
        ------
        DataError
            When the files are missing or damaged, or the key is not that of what the card says it was made of: it would then
            stand for another network.
        """
        outside = NetworkCache(card_path.parent)
        key = card_path.stem
        found = outside.load(key)
        if found is None:
            raise DataError(
                f"{card_path}: is no card of a network with its weights beside it, or one of them is damaged"
            )
        if content_key(found[1].get("determined_by", {})) != key:
            raise DataError(
                f"{card_path}: the key is not that of what the card says; it was made by another recipe of training than "
                f"number {RECIPE}, or the card was changed"
            )
        outside.export(key, self.folder)
        return key

    def _weights_path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _card_path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is either there completely or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise DataError(
            f"cannot store a trained network in {path.parent}: {error.strerror}; "
            f"set {FOLDER_VARIABLE} to a folder that can be written"
        ) from error


def _without_defaults(value: Any) -> Any:
    """Leave out the options of plug-ins that have their default; a class that cannot be imported keeps all of them."""
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    defaults = _defaults(value["class"]) if isinstance(value.get("class"), str) else {}
    return {
        name: _without_defaults(item) for name, item in value.items() if name not in defaults or defaults[name] != item
    }


@cache
def _defaults(target: str) -> dict[str, Any]:
    module, _, name = target.partition(":")
    try:
        owner = getattr(importlib.import_module(module), name)
        fields = dataclasses.fields(owner)
    except (ImportError, AttributeError, TypeError, ValueError):
        return {}
    return {field.name: _plain(field.default) for field in fields if field.default is not dataclasses.MISSING}


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        content = {"content": value.content()} if hasattr(value, "content") else {}
        return {"class": f"{type(value).__module__}:{type(value).__qualname__}", **fields, **content}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DataError(f"{type(value).__name__} cannot be part of a network's provenance; make the plug-in a dataclass")

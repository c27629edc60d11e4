"""Trained networks on disk, found by the hash of all that determined their weights.

An entry is two files: ``KEY.safetensors`` holds the weights, ``KEY.json`` the card (what was trained on what, with which
options, seed and versions; how good it is; the hash of the weights). The card is written last and each file under a temporary name
first, so that an entry with a card is complete even if the process is killed or two processes train the same network.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import DataError
from edgesim.nn.train.cards import RECIPE, content_key, read_card

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from edgesim.domain.networks.samples import Dataset

FOLDER_VARIABLE = "EDGESIM_CACHE_DIR"
"""Environment variable that moves the cache."""


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of all samples and targets of a data set, in hex."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        names = list(split.inputs) if len(split.inputs) > 1 else [""]
        for name, array in zip([*names, ""], [*split.inputs.values(), split.targets], strict=True):
            digest.update(f"{name}{array.shape} {array.dtype}".encode())
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
        try:
            card, weights = self._read(key)
            return _tensors(weights), card
        except DataError:
            return None

    def restore(self, key: str, network: torch.nn.Module, score: str) -> dict[str, float] | None:
        """Give a network its weights and return its metrics, or None when it is not there or damaged, as for `load`.

        Parameters
        ----------
        key : of the network.
        network : of the same architecture.
        score : name of the main score of its task, which the metrics must hold.

        Raises
        ------
        DataError
            When the weights are those of another network, are no numbers, or their score is not known.
        """
        found = self.load(key)
        if found is None:
            return None
        weights, card = found
        remedy = f"remove it with: edgesim models remove {key[:12]}"
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise DataError(f"network {key} in {self.folder} is not what its card says: {error}; {remedy}") from error
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            raise DataError(f"network {key} in {self.folder} has weights that are no finite numbers; {remedy}")
        if f"test_{score}" not in card["metrics"]:
            raise DataError(f"the card of network {key} in {self.folder} does not say its test_{score}; {remedy}")
        return dict(card["metrics"])

    def check(self, key: str) -> None:
        """Say what is wrong with a network that `load` does not return.

        Raises
        ------
        DataError
            When its files are missing or damaged.
        """
        _, weights = self._read(key)
        _tensors(weights)

    def _read(self, key: str) -> tuple[dict[str, Any], bytes]:
        """Return the card and the file of weights, which belong together. Raises `DataError`."""
        card, path = read_card(self._card_path(key)), self._weights_path(key)
        try:
            if path.stat().st_size != card["weights_byte"]:
                raise DataError(f"{path} has not the {card['weights_byte']:,} byte that its card says")
            weights = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}, the weights beside the card, cannot be read: {error.strerror}") from error
        if hashlib.sha256(weights).hexdigest() != card["weights_sha256"]:
            raise DataError(f"{path} is damaged: its content is not that of which its card has the hash")
        return card, weights

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
        """Return the cards of all complete networks, the oldest first; see `survey` for the others."""
        return self.survey()[0]

    def survey(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the cards of all complete networks, the oldest first, and what is wrong with other files."""
        found, damaged = [], []
        for path in sorted(self.folder.glob("*.json")):
            try:
                card = read_card(path)
            except DataError as error:
                damaged.append(str(error))
                continue
            if self._weights_path(path.stem).is_file():
                found.append(card)
            else:
                damaged.append(f"{path} is a card without weights beside it")
        return sorted(found, key=lambda card: (card["created"], card["key"])), damaged

    def leftovers(self) -> list[Path]:
        """Return what is no network: states of unfinished trainings, and teachers' answers that are kept for students."""
        return sorted([*self.folder.glob("*.checkpoint"), *self.folder.glob("teacher-outputs-*.npz")])

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
        card, weights = self._read(key)
        copy = NetworkCache(folder)
        write_atomically(copy._weights_path(key), weights)
        write_atomically(copy._card_path(key), (json.dumps(card, indent=2) + "\n").encode())
        return copy._weights_path(key), copy._card_path(key)

    def take_in(self, card_path: Path) -> str:
        """Copy a network from the card and the weights beside it into the cache, and return its key.

        Raises
        ------
        DataError
            When the files are missing or damaged, or the key is not that of what the card says it was made of: it would then
            stand for another network.
        """
        outside, key = NetworkCache(card_path.parent), card_path.stem
        outside.check(key)
        if content_key(read_card(card_path)["determined_by"]) != key:
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
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise DataError(
            f"cannot store a trained network in {path.parent}: {error.strerror}; "
            f"set {FOLDER_VARIABLE} to a folder that can be written"
        ) from error


def _tensors(weights: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors in a file of weights. Raises `DataError`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(weights))
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"the weights are damaged: {error}") from error

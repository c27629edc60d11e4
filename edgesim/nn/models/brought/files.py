"""Trained networks in files of `torch.export` and of ONNX. Importing this needs no torch; `build` does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.domain.places import FileName
from edgesim.errors import ScenarioError

if TYPE_CHECKING:
    import torch

    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


@dataclass(frozen=True, slots=True)
class Onnx:
    """A trained network in an ONNX file, run by torch operator by operator.

    Its weights are taken as they are: nothing is trained, and `workload.training` is not used. A file that was written for one sample at a
    time is read as one of many. Layers are called as their weights where these have names like ``conv1.weight``, else as their nodes.
    It needs the package onnx: ``pip install 'edgesim[onnx]'``.

    Parameters
    ----------
    path : the file; external data lie beside it.
    filters : name of the layer whose units student networks divide, as with ``import``.
    output : name of the output that is the answer, where there are several.
    """

    path: FileName
    filters: str | None = None
    output: str | None = None

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:  # noqa: ARG002 - the seam's form
        """Return the network with its weights. Raises `NetworkError` with all that cannot be converted."""
        from edgesim.nn.models.brought.onnx_file import network_of

        return network_of(Path(self.path), inputs, self.output)

    def is_trained(self) -> bool:
        """Return that it is."""
        return True

    def filter_layer(self) -> str | None:
        """Return the name that the user gave."""
        return self.filters

    def content(self) -> str:
        """Return the SHA-256 of the file and of its external data, in hex."""
        from edgesim.nn.models.brought.onnx_file import files_of

        return _hash(files_of(Path(self.path)))


@dataclass(frozen=True, slots=True)
class Exported:
    """A trained network as a program of `torch.export`, in a file that `torch.export.save` wrote.

    Its weights are taken as they are: nothing is trained, and `workload.training` is not used. Reading such a file may run code in it,
    so a scenario that names one needs permission, as for ``import``. Export it in evaluation mode, with a dynamic first axis:
    ``dynamic_shapes=({0: torch.export.Dim("samples")},)``.

    Parameters
    ----------
    path : the file, called ``.pt2``.
    filters : name of the layer whose units student networks divide, as with ``import``.
    output : which of several things that the program gives is the answer: position, from 0.
    """

    path: FileName
    filters: str | None = None
    output: int | None = None

    def __post_init__(self) -> None:
        if not self.path.endswith(".pt2"):
            raise ScenarioError(f"path is {self.path!r}; a program of torch.export is a file called .pt2")

    def build(self, inputs: Inputs, output: TensorSpec) -> torch.nn.Module:  # noqa: ARG002 - the seam's form
        """Return the network with its weights. Raises `NetworkError` when the file is damaged or has other inputs."""
        from edgesim.nn.models.brought.program_file import network_of

        return network_of(Path(self.path), inputs, self.output)

    def is_trained(self) -> bool:
        """Return that it is."""
        return True

    def filter_layer(self) -> str | None:
        """Return the name that the user gave."""
        return self.filters

    def content(self) -> str:
        """Return the SHA-256 of the file, in hex."""
        return _hash([Path(self.path)])


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()

"""Options that name a folder or a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Marks a text as the name of a folder or file: in a scenario, a relative one starts at the file in which it stands.

    Parameters
    ----------
    kind : what it names.
    """

    kind: Literal["folder", "file"]


FolderName = Annotated[str, OnDisk("folder")]
FileName = Annotated[str, OnDisk("file")]

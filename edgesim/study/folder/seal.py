"""The seal of a file: its SHA-256, which stands in the file itself, so that damage shows wherever the file is.

The digest is taken with zeros in its own place. A seal shows accidents, not intent: it is no signature.
"""

from __future__ import annotations

import warnings
from hashlib import sha256
from typing import TYPE_CHECKING

from edgesim.errors import EdgesimWarning
from edgesim.study.folder.names import DAMAGED

if TYPE_CHECKING:
    from pathlib import Path

MARK = b"edgesim-sha256:"
_OPEN = b"0" * 64
OPEN_SEAL = (MARK + _OPEN).decode()
"""What a file must hold once, after everything that a user named, to be sealed."""
NOT_WHOLE = "it is damaged: its checksum is not that of its content"


def sealed(content: bytes) -> bytes:
    """Return a content that holds `OPEN_SEAL` with its digest in that place."""
    start = content.rindex(MARK) + len(MARK)
    return content[:start] + _digest(content, start) + content[start + len(_OPEN) :]


def is_whole(content: bytes) -> bool:
    """Return whether a content is sealed, and is what was sealed."""
    start = content.rfind(MARK) + len(MARK)
    return start >= len(MARK) and content[start : start + len(_OPEN)] == _digest(content, start)


def _digest(content: bytes, start: int) -> bytes:
    """Return the digest of a content with zeros where its own digest begins."""
    view = memoryview(content)
    digest = sha256(view[:start])
    digest.update(_OPEN)
    digest.update(view[start + len(_OPEN) :])
    return digest.hexdigest().encode()


def set_aside(folder: Path, path: Path, fault: str) -> None:
    """Move a file of a result folder to its folder of damaged ones, and warn.

    Parameters
    ----------
    folder : the result folder.
    path : a file in it.
    fault : what is wrong with it.
    """
    aside = folder / DAMAGED / path.relative_to(folder)
    aside.parent.mkdir(parents=True, exist_ok=True)
    path.replace(aside)
    warnings.warn(f"{path}: {fault}; it is set aside as {aside} and made again", EdgesimWarning, stacklevel=2)

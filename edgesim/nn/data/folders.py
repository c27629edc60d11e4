"""Where the files of a data set lie."""

from __future__ import annotations

import os
from pathlib import Path

from edgesim.errors import DataError

FOLDER_VARIABLE = "EDGESIM_DATA_DIR"
"""Environment variable: a folder that holds data sets in folders of their own."""


def find_folder(
    dataset: str,
    option: str | None,
    *,
    files: tuple[str, ...],
    names: tuple[str, ...],
    remedy: str,
    system: tuple[str, ...] = (),
) -> Path:
    """Return the first folder that holds all files of a data set.

    Parameters
    ----------
    dataset : its name, for the message.
    option : the folder that the user gave, itself or what holds it; then nothing else is looked at.
    files : names that must be there, each as it is or with ``.gz``.
    names : the folder's usual names, looked for in ``$EDGESIM_DATA_DIR`` and in the user's data directory of edgesim.
    remedy : how to get the files.
    system : where packages of the system put them.

    Raises
    ------
    DataError
        When no folder has them; it names every folder it looked at and the first file that is missing there.
    """
    if option is not None:
        base = Path(option).expanduser()
        candidates = [base, *(base / name for name in names)]
    else:
        candidates = [base / name for base in _bases() for name in names] + [Path(folder) for folder in system]
    looked = []
    for folder in candidates:
        missing = next((name for name in files if not has_file(folder / name)), None)
        if missing is None:
            return folder
        looked.append(f"{folder} ({f'no {missing}' if folder.is_dir() else 'no such folder'})")
    raise DataError(
        f"data set {dataset} is not there; looked in {', '.join(looked)}; {remedy}, "
        f"or name the folder by the option `folder` or by ${FOLDER_VARIABLE}"
    )


def has_file(path: Path) -> bool:
    """Return whether a file is there, packed or not."""
    return path.is_file() or path.with_name(path.name + ".gz").is_file()


def _bases() -> list[Path]:
    import platformdirs

    given = os.environ.get(FOLDER_VARIABLE)
    return [*([Path(given).expanduser()] if given else []), Path(platformdirs.user_data_dir("edgesim"))]

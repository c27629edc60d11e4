"""What the pages for contributors list is what the code has."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.contributing.pages import PAGES, PUBLIC, ROOT, made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lists_are_those_of_the_code(page: Path) -> None:
    """After a change that is meant: `python -m tests.contributing`, and a line in the CHANGELOG when a promise changes."""
    assert page.read_text(encoding="utf-8") == made(page, PAGES[page])


def test_what_the_page_on_plugins_imports_is_promised() -> None:
    """Names of its examples, and those of the folder `examples`."""
    texts = [(ROOT / "docs" / "extending.md").read_text(encoding="utf-8")]
    texts += [file.read_text(encoding="utf-8") for file in (ROOT / "examples").rglob("*.py")]
    imports = re.findall(r"from (edgesim[.\w]*) import ([\w, ]+)$", "\n".join(texts), flags=re.MULTILINE)
    own = [(module, names) for module, names in imports if not module.startswith("edgesim_example")]
    assert own
    broken = [
        (module, name)
        for module, names in own
        for name in names.split(", ")
        if module not in PUBLIC or (PUBLIC[module] and name not in PUBLIC[module])
    ]
    assert broken == []


def test_promised_names_are_there() -> None:
    """Each can be imported from where the page says."""
    missing = [
        (module, name)
        for module, names in PUBLIC.items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []

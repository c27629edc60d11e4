"""How a check says what was expected."""

from __future__ import annotations


def expect(is_right: object, text: str) -> None:
    """Raise `AssertionError` with a text unless something holds."""
    if not is_right:
        raise AssertionError(text)

"""Fills the templates of this package: of the report and of what notebooks show."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, /, **values: object) -> str:
    """Return a template with these values in it; texts are escaped, a missing value is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("edgesim.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

"""Fills the templates of this package: of the report and of what notebooks show."""

from __future__ import annotations


def render(template: str, /, **values: object) -> str:
    """Return a template with these values in it; texts are escaped, a missing value is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("edgesim.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(**values)

"""Write the lists of the documentation anew: names and rooms in `docs/contributing/`, catalog and commands in `docs/reference/`."""

from tests.contributing.pages import PAGES, made

for page, make in PAGES.items():
    page.write_text(made(page, make), encoding="utf-8")

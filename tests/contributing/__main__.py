"""Write the lists in `docs/contributing/` anew."""

from tests.contributing.pages import PAGES, made

for page, make in PAGES.items():
    page.write_text(made(page, make), encoding="utf-8")

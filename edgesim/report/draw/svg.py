"""Figures as inline SVG: with a title and a description, letters as text, colours that follow light and dark."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

from edgesim.report.draw.style import GRID, PAPER, TEXT, house_style, laid_out

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FOLLOWING = {
    TEXT: "currentColor",
    "#000000": "currentColor",
    PAPER: "var(--paper)",
    GRID: "var(--grid)",
    "#555555": "var(--soft)",
}
_PATTERN = re.compile(r"<pattern id=\"([^\"]+)\"[^>]*>\s*<rect [^>]*fill=\"(#[0-9a-fA-F]{6})\"")
"""Id and ground of a hatch: on paper the ground alone is drawn, since browsers print a hatch as a picture for each bar."""
_TEXT_FILL = re.compile(r"(<text[^>]*style=\"[^\"]*)\"")


def inline_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as an ``svg`` element for an HTML page.

    Parameters
    ----------
    figure : what is drawn.
    name : makes the ids in it distinct from those of other figures of the page.
    title, description : for those who do not see it.
    """
    import matplotlib as mpl

    stream = io.StringIO()
    effects = {letters: letters.get_path_effects() for ax in figure.axes for letters in ax.texts}
    for letters in effects:  # letters with effects would become outlines; the style sheet draws what is around letters
        letters.set_path_effects([])
    with house_style(), laid_out(figure), mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    for letters, before in effects.items():
        letters.set_path_effects(before)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for beginning in (' id="', "url(#", 'href="#'):
        text = text.replace(beginning, f"{beginning}{name}-")
    grounds = dict(_PATTERN.findall(text))
    text = re.sub(r"fill: url\(#([^)]+)\)", lambda use: f"{use[0]}; --solid: {grounds.get(use[1], '#888888')}", text)
    for colour, replacement in _FOLLOWING.items():
        for place in ("fill", "stroke"):
            text = text.replace(f"{place}: {colour.lower()}", f"{place}: {replacement}")
    text = re.sub(r"(<text[^>]*style=\"[^\"]*?)fill: #[0-9a-fA-F]{6}", r"\1fill: currentColor", text)
    text = _TEXT_FILL.sub(lambda match: match[1] + ("" if "fill:" in match[1] else "; fill: currentColor") + '"', text)
    text = text.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    view = re.search(r"viewBox=\"0 0 ([\d.]+) ([\d.]+)\"", text)
    width_pt = float(view[1]) if view else 252.0
    head = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-desc" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" {view[0] if view else ""} style="max-width: {1.75 * width_pt:.0f}px">'
        f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(description)}</desc>'
    )
    return head + text[text.index(">") + 1 :].strip()

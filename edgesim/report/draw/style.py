"""The house style of figures: one column of a paper, colours that colour-blind readers tell apart, nothing below 7 pt."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from edgesim.files.whole import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""M. Okabe, K. Ito, Color Universal Design, 2008, without yellow, which is too light for thin lines on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
"""One more than colours, so that a colour and a marker meet again only after 56 strategies."""
FORMATS = ("png", "svg", "pdf")
WIDTH_IN, HEIGHT_IN = 3.5, 2.7
SHOWN_DPI, SAVED_DPI = 130, 300
"""Pixels per inch of a figure in a notebook, and in a file."""
TEXT, PAPER, GRID = "#1A1A1A", "#FFFFFF", "#E5E5E5"
"""What the dark report turns round: letters and axes, the ground, and the lines of the grid."""
RC = {
    "text.parse_math": False,  # names are shown as they are
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.2,
    "lines.markersize": 5,
    "errorbar.capsize": 2,
    "savefig.dpi": SAVED_DPI,
    "svg.hashsalt": "edgesim",  # the same ids in every run
}


_OWN = ("single", "modnn", "nonn", "resilient", "ensemble", "branches", "tensor-parallel")
"""Types of strategies with a colour of their own, in the order of the colours."""


def look(strategies: Sequence[str], types: Mapping[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each strategy: the same in every figure of every study, whatever its place.

    A strategy that is called like its type has the colour of the type; others have one that follows from type and label. Where
    two would share a colour while another is free, the latter in the order of the alphabet takes the next one.

    Parameters
    ----------
    strategies : their labels.
    types : of strategies, by label; by default the labels themselves.

    Examples
    --------
    >>> look(["nonn", "single"])["nonn"] == look(["single", "modnn", "nonn"])["nonn"]
    True
    """
    kinds = {name: (types or {}).get(name, name) for name in strategies}
    taken: dict[str, int] = {}
    for name in sorted(strategies, key=lambda name: (name != kinds[name], kinds[name] not in _OWN, name)):
        wanted = _wanted(name, kinds[name])
        round_of = len(taken) // len(COLOURS) * len(COLOURS)  # each colour once, then each once more
        used = {slot % len(COLOURS) for slot in taken.values() if slot >= round_of}
        colour = next(
            one % len(COLOURS) for one in range(wanted, wanted + len(COLOURS)) if one % len(COLOURS) not in used
        )
        taken[name] = round_of + colour
    return {name: (COLOURS[taken[name] % len(COLOURS)], MARKERS[taken[name] % len(MARKERS)]) for name in strategies}


def _wanted(label: str, kind: str) -> int:
    """Return which colour a strategy takes where nothing else has it."""
    if kind in _OWN:
        return _OWN.index(kind)
    return int.from_bytes(sha256(f"{kind}/{label}".encode()).digest()[:4]) % len(COLOURS)


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style to figures made inside, and only to those."""
    import matplotlib as mpl

    with mpl.rc_context(RC):  # type: ignore[arg-type]
        yield


def new_axes(width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> Axes:
    """Return axes on a figure of their own, by default one column wide; no global state of pyplot is involved."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained").add_subplot(axes_class=ShownAxes)


class ShownAxes(Axes):
    """Axes that a notebook shows as their figure, which pyplot does not know and so would not show."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture, in twice the pixels that it is shown in."""
        figure, stream = figure_of(self), io.BytesIO()
        with house_style():
            figure.savefig(stream, format="png", dpi=2 * SHOWN_DPI)
        return stream.getvalue(), {"width": round(SHOWN_DPI * figure.get_figwidth())}


def figure_of(ax: Axes) -> Figure:
    """Return the figure that holds the axes."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("these axes are in no figure")
    return figure


def lay_out(figure: Figure) -> None:
    """Put the axes where the letters around them leave room; drawing a figure that nothing lays out finds its limits at least."""
    engine = figure.get_layout_engine()
    if engine is None:
        figure.draw_without_rendering()
        return
    engine.execute(figure)
    for ax in figure.axes:
        ax.apply_aspect()


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out as it will be saved, and leave it so inside; `savefig` would draw all of it once more for every file to find that."""
    engine, dpi = figure.get_layout_engine(), figure.dpi
    figure.dpi = SAVED_DPI
    lay_out(figure)
    figure.dpi = dpi
    figure.set_layout_engine(None)
    yield
    figure.set_layout_engine(engine)


def save(figure: Figure, path: Path, formats: Sequence[str] = ("png", "svg")) -> None:
    """Write a figure in several formats, without the date, so that equal figures are equal files. Raises `ResultError`."""
    with house_style(), laid_out(figure):
        for kind in formats:
            metadata = {"Date": None} if kind == "svg" else {"CreationDate": None} if kind == "pdf" else None
            with replacing(path.with_suffix(f".{kind}")) as temporary:
                figure.savefig(temporary, format=kind, metadata=metadata)


def positions(values: Sequence[object]) -> tuple[list[float], str, bool]:
    """Return where a factor's values stand on an axis, their unit, and whether they are numbers.

    Quantities of one unit stand at their numbers; other texts stand side by side.

    >>> positions(["5 ms", "10 ms"])
    ([5.0, 10.0], 'ms', True)
    >>> positions(["louvain", "random"])
    ([0.0, 1.0], '', False)
    """
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return [float(str(value)) for value in values], "", True
    found = [re.fullmatch(r"([-+.\deE]+)\s*([^\d\s].*)", str(value)) for value in values]
    units = {match[2] if match else None for match in found}
    if len(units) == 1 and None not in units:
        try:
            return [float(match[1]) for match in found if match], str(units.pop()), True
        except ValueError:
            pass
    return [float(position) for position in range(len(values))], "", False

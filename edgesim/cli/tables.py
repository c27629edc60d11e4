"""Tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from edgesim.report.table import Table

PLAIN_WIDTH = 100
"""Columns of a table that is not written to a terminal."""
WIDEST = 1000
"""Columns beyond which nobody looks."""
NAME_WIDTH = 32
"""Letters of a name, before it goes on in the next line."""
MARK = "*"
"""Stands before the best values, so that numbers end below each other."""


def table_console() -> Console:
    """Return a console for tables: as wide as the terminal, and of a fixed width when there is none."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def draw_table(console: Console, table: Table) -> None:
    """Draw one table without vertical lines, so that it can be read when piped; a narrow terminal wraps it, no number is cut."""
    from rich import box
    from rich.measure import Measurement
    from rich.table import Table as RichTable
    from rich.text import Text

    from edgesim.report.draw.style import fold

    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        title=Text(table.title, style="bold"),
        title_justify="left",
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for position, header in enumerate(table.headers):
        is_name = position < table.n_names
        widest = max((len(cells[position]) for cells in table.rows), default=0) + (len(MARK) if table.best else 0)
        drawn.add_column(
            Text(header),
            justify="left" if is_name else "right",
            no_wrap=not is_name,
            min_width=None if is_name else widest,
            overflow="fold",
            vertical="bottom",
        )
    for row, cells in enumerate(table.rows):
        texts = [fold(cell, NAME_WIDTH) if column < table.n_names else cell for column, cell in enumerate(cells)]
        drawn.add_row(*(_cell(text, is_best=(row, column) in table.best) for column, text in enumerate(texts)))
    console.width = max(console.width, Measurement.get(console, console.options.update(width=WIDEST), drawn).minimum)
    console.print(drawn, crop=False)
    notes = [f"{MARK} best in its column, or its interval meets the best's"] if table.best else []
    notes += [table.note] if table.note else []
    if notes:
        console.print(Text("; ".join(notes), style="dim"))


def _cell(text: str, *, is_best: bool) -> Text:
    """Return a cell; the best are bold, and marked for terminals and files that show no bold."""
    from rich.text import Text

    return Text(MARK + text, style="bold") if is_best else Text(text)

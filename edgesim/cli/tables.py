"""Tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    from edgesim.report.table import Table

PLAIN_WIDTH = 80
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
    """Draw one table without vertical lines, so that it can be read when piped; columns that do not fit beside each other stand in blocks."""
    from rich.text import Text

    console.print(Text(table.title, style="bold"))
    width = console.width
    numbers = list(range(table.n_names, len(table.headers)))
    while numbers:
        n = next(
            (n for n in range(len(numbers), 1, -1) if _width(console, _drawn(table, numbers[:n])) <= console.width), 1
        )
        n = max(n, 1) if n == len(numbers) else -(-len(numbers) // -(-len(numbers) // n))  # blocks of the same size
        drawn, numbers = _drawn(table, numbers[:n]), numbers[n:]
        console.width = max(console.width, _width(console, drawn))  # a block of one column is not cut
        console.print(drawn, crop=False)
        console.width = width
        if numbers:
            console.print()
    notes = [f"{MARK} best in its column, or its interval meets the best's"] if table.best else []
    notes += [table.note] if table.note else []
    if notes:
        console.print(Text("; ".join(notes), style="dim"))


def _width(console: Console, drawn: RichTable) -> int:
    """Return how wide a table is at least."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(width=WIDEST), drawn).minimum


def _drawn(table: Table, numbers: Sequence[int]) -> RichTable:
    """Return the names and some columns of numbers of a table."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from edgesim.report.texts import fold

    drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown = [*range(table.n_names), *numbers]
    for position in shown:
        is_name = position < table.n_names
        mark = len(MARK) if table.best else 0
        if is_name:  # goes on in the next line behind a word, and where it is folded
            names = (table.headers[position], *(fold(cells[position], NAME_WIDTH) for cells in table.rows))
            least = max(len(word) for name in names for word in ("", *name.split()))
        else:
            lines = table.headers[position].splitlines()
            least = max([len(cells[position]) + mark for cells in table.rows] + list(map(len, lines)), default=0)
        drawn.add_column(
            Text(table.headers[position]),
            justify="left" if is_name else "right",
            no_wrap=not is_name,
            min_width=least,
            overflow="fold",
            vertical="bottom",
        )
    for row, cells in enumerate(table.rows):
        texts = [
            (column, fold(cells[column], NAME_WIDTH) if column < table.n_names else cells[column]) for column in shown
        ]
        drawn.add_row(*(_cell(text, is_best=(row, column) in table.best) for column, text in texts))
    return drawn


def _cell(text: str, *, is_best: bool) -> Text:
    """Return a cell; the best are bold, and marked for terminals and files that show no bold."""
    from rich.text import Text

    return Text(MARK + text, style="bold") if is_best else Text(text)

"""Lines for the terminal: one wide cell that wraps, then narrow columns that do not, aligned without a frame."""

from collections.abc import Sequence

from rich.console import JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2


def line(cells: Sequence[RenderableType], widths: Sequence[int], aligned: Sequence[JustifyMethod]) -> Table:
    """One line: the first cell wraps, the others have these widths, the same in all lines of a table."""
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    for width, justify in zip(widths, aligned, strict=True):
        grid.add_column(width=GAP)
        grid.add_column(width=width, no_wrap=True, justify=justify)
    first, *narrow = cells
    grid.add_row(first, *(cell for each in narrow for cell in ("", each)))
    return grid


def indented(text: Text) -> Padding:
    """Text that belongs to the line above it, over the whole width."""
    return Padding(text, (0, 0, 0, GAP))


def column_widths(columns: Sequence[Sequence[str]]) -> list[int]:
    """The width of each narrow column, given all its texts, the head included."""
    return [max(map(len, column)) for column in columns]

"""Lines for the terminal: one wide cell that wraps, then narrow columns that never do, aligned without a box."""

from collections.abc import Sequence

from rich.console import JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2


def line(cells: Sequence[RenderableType], widths: Sequence[int], aligned: Sequence[JustifyMethod]) -> Table:
    """One line; lines agree because the widths of the narrow columns are the same in all of them."""
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    for width, justify in zip(widths, aligned, strict=True):
        grid.add_column(width=GAP)
        grid.add_column(width=width, no_wrap=True, justify=justify)
    first, *narrow = cells
    grid.add_row(first, *(cell for each in narrow for cell in ("", each)))
    return grid


def below(text: Text) -> Padding:
    """What belongs to the line above, over the whole width."""
    return Padding(text, (0, 0, 0, GAP))


def widths(columns: Sequence[Sequence[str]]) -> list[int]:
    """What each narrow column needs, its head among its cells."""
    return [max(map(len, column)) for column in columns]

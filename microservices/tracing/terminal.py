"""A trace in the terminal. Nothing is told by colour alone: the critical path has its own sign and column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from microservices.tracing.view import MILLI, Row, View

BAR_WIDTH = 36
CRITICAL, OTHER, GAP, NOTHING = "█", "░", "?", " "


def show(views: Sequence[View], console: Console) -> None:
    """Print the requests, one below the other, each with its waterfall and what it waited for."""
    for shown in views:
        console.print(_request(shown))
    if len(views) > 1:
        console.print(_beside(views))
    console.print(f"{CRITICAL} on the critical path  {OTHER} not  {GAP} a gap: no span arrived  ! failed")


def show_recent(recent: Iterable[tuple[str, str, int, int]], console: Console) -> None:
    """Print a list of requests to choose from."""
    table = Table("request id", "request", "ms", "spans")
    table.columns[0].no_wrap, table.columns[0].overflow = True, "fold"  # an id is there to be copied
    for request_id, name, taken, spans in recent:
        table.add_row(request_id, name, f"{taken / MILLI:.1f}", str(spans))
    console.print(table)


def _request(shown: View) -> RenderableType:
    services = ", ".join(shown.services)
    parts: list[RenderableType] = [
        Text(f"\n{shown.request_id}: {shown.milliseconds:.1f} ms, {shown.spans} spans in {services}"),
        _waterfall(shown.waterfall),
        _waited_for(shown),
    ]
    if shown.calls:
        parts.append(_calls(shown))
    for later in shown.later:
        parts += [Text("\nLater, linked with this request:"), _request(later)]
    return Group(*parts)


def _waterfall(rows: Sequence[Row]) -> Table:
    table = Table("", "what", "ms", "critical", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        name = f"{'  ' * row.depth}{row.service}: {row.name}{' !' if row.failed else ''}"
        critical = f"{row.critical:.1f}" if row.critical else ""
        table.add_row(
            _bar(row), Text(name, overflow="ellipsis", no_wrap=True), f"{row.milliseconds:.1f}", critical
        )
        if row.gap:
            table.add_row("", Text(f"{'  ' * row.depth}{row.gap}"), "", "")
    return table


def _bar(row: Row) -> str:
    left = min(BAR_WIDTH - 1, round(row.left * BAR_WIDTH))
    width = max(1, min(BAR_WIDTH - left, round(row.width * BAR_WIDTH)))
    sign = GAP if row.gap else CRITICAL if row.critical else OTHER
    return NOTHING * left + sign * width + NOTHING * (BAR_WIDTH - left - width)


def _waited_for(shown: View) -> Text:
    parts = [f"{service} {taken:.1f} ms" for service, taken in shown.waited_for]
    return Text(f"It waited for: {', '.join(parts)}.")


def _calls(shown: View) -> Text:
    arrows = [
        f"{call.caller} → {call.callee} {call.times} times ({call.nanoseconds / MILLI:.1f} ms"
        f"{f', {call.failures} failed' if call.failures else ''})"
        for call in shown.calls
    ]
    return Text(f"Calls: {', '.join(arrows)}.")


def _beside(views: Sequence[View]) -> Table:
    table = Table("side by side", *(shown.request_id for shown in views))
    table.add_row("ms", *(f"{shown.milliseconds:.1f}" for shown in views))
    table.add_row("spans", *(str(shown.spans) for shown in views))
    table.add_row("processes", *(str(len(shown.services)) for shown in views))
    table.add_row("calls between them", *(str(sum(call.times for call in shown.calls)) for shown in views))
    return table

"""`microservices trace`: reads the store and shows requests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from microservices.launcher.errors import LauncherError
from microservices.tracing import terminal
from microservices.tracing.page import html
from microservices.tracing.store import FILE_NAME, TraceStore
from microservices.tracing.view import View, view

RECENT = 20


class UnknownRequest(LauncherError):
    """No span of this request was received."""


def show_traces(home: Path, request_ids: Sequence[str], page: Path | None) -> None:
    """Print the requests, or the newest ones without ids; write them to `page` too. Raises UnknownRequest."""
    file = home / FILE_NAME
    if not file.exists():
        raise UnknownRequest(
            f"No trace was received in {home} yet; start a shop with: microservices up --traces"
        )
    store, console = TraceStore(file), Console()
    try:
        if not request_ids:
            terminal.show_recent(store.newest_requests(RECENT), console)
            return
        views = [_view(store, request_id) for request_id in request_ids]
    finally:
        store.close()
    terminal.show(views, console)
    if page is not None:
        page.write_text(html(views), encoding="utf-8")
        console.print(f"The page is {page}.", highlight=False)


def _view(store: TraceStore, request_id: str) -> View:
    found = view(request_id, store.spans(store.traces_of(request_id)))
    if found is None:
        raise UnknownRequest(
            f"No trace of request {request_id}; without an id, `microservices trace` lists the newest ones."
        )
    return found

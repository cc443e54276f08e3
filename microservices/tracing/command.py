"""`microservices trace`: reads the store and shows requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
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
    console = Console()
    with _opened(home) as store:
        if not request_ids:
            terminal.show_recent(store.newest_requests(RECENT), console)
            return
        views = [_view(store, request_id) for request_id in request_ids]
    terminal.show(views, console)
    if page is not None:
        page.write_text(html(views), encoding="utf-8")
        console.print(f"The page is {page}.", highlight=False)


def print_spans(home: Path, request_id: str) -> None:
    """Print the request's own spans as JSON, without those of linked traces. Raises UnknownRequest."""
    with _opened(home) as store:
        spans = store.spans(store.traces_of(request_id))
    own = {span.trace_id for span in spans if span.request_id == request_id}
    if not own:
        raise _unknown(request_id)
    click.echo(json.dumps([asdict(span) for span in spans if span.trace_id in own]))


@contextmanager
def _opened(home: Path) -> Iterator[TraceStore]:
    file = home / FILE_NAME
    if not file.exists():
        raise UnknownRequest(
            f"No trace was received in {home} yet; start a shop with: microservices up --traces"
        )
    store = TraceStore(file)
    try:
        yield store
    finally:
        store.close()


def _view(store: TraceStore, request_id: str) -> View:
    found = view(request_id, store.spans(store.traces_of(request_id)))
    if found is None:
        raise _unknown(request_id)
    return found


def _unknown(request_id: str) -> UnknownRequest:
    return UnknownRequest(
        f"No trace of request {request_id}; without an id, `microservices trace` lists the newest ones."
    )

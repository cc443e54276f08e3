"""The boundaries of either shop: before and after each commit, each call to another service, each charge of a card.

A crash at a boundary leaves something half done. Boundaries are found from outside: by wrapping the few functions
through which every lasting change passes. So the shops have no code for it, and a new commit or call is a boundary
without further work. At each boundary `visit` is called with its name, such as
`orders.place: after POST /internal/reservations`; it may raise.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import requests
from flask import current_app, g, has_app_context, has_request_context, request

from microservices.chassis import database as of_a_service
from microservices.chassis.deadline import DeadlineAdapter
from microservices.payments import provider as of_the_split
from microservices.tests.in_process import Direct
from monolith.chassis import database as of_the_monolith
from monolith.payments import provider as of_the_block

Visit = Callable[[str], None]

KEYS = "/.well-known/jwks.json"
"""Requested once in a process, before anything else: not a boundary of a checkout."""
ID = re.compile(r"(?<=/)([0-9a-f]{32}|C\d+)(?=/|$)")
_open = threading.local()


class Crash(BaseException):
    """Simulates a killed process inside this one: no handler of the shops catches it."""


@contextmanager
def installed(visit: Visit) -> Iterator[None]:
    """Call `visit` at every boundary that this process passes, while the block runs."""
    with ExitStack() as stack:
        for module in (of_a_service, of_the_monolith):
            original = module.Database.writing
            stack.enter_context(patch.object(module.Database, "writing", _transaction(original, visit)))
        for kind in (DeadlineAdapter, Direct):
            stack.enter_context(patch.object(kind, "send", _call(kind.send, visit)))
        for provider, verb in ((of_the_split, "charge"), (of_the_split, "void"), (of_the_block, "charge")):
            stack.enter_context(patch.object(provider, verb, _charge(verb, getattr(provider, verb), visit)))
        yield


def in_transaction() -> bool:
    """Whether this thread is inside a writing transaction, so that no other can write to that database."""
    return getattr(_open, "depth", 0) > 0


def _transaction(original: Any, visit: Visit) -> Callable[[Any], AbstractContextManager[Any]]:
    @contextmanager
    def writing(self: Any) -> Iterator[Any]:
        with original(self) as db:
            _open.depth = getattr(_open, "depth", 0) + 1
            try:
                yield db
                visit(_name("before commit"))
            finally:
                _open.depth -= 1
        visit(_name("after commit"))

    return writing


def _call(original: Callable[..., requests.Response], visit: Visit) -> Callable[..., requests.Response]:
    def send(self: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        path = request.path_url.partition("?")[0]
        if path == KEYS:
            return original(self, request, **options)
        what = f"{request.method} {ID.sub('*', path)}"
        visit(_name(f"before {what}"))
        try:
            answer = original(self, request, **options)
        except Crash as crash:  # the called service crashed; the caller sees a lost connection
            raise requests.ConnectionError from crash
        visit(_name(f"after {what}"))
        return answer

    return send


def _charge(verb: str, original: Any, visit: Visit) -> Callable[..., None]:
    def provide(*arguments: Any) -> None:
        visit(_name(f"before {verb}"))
        original(*arguments)
        visit(_name(f"after {verb}"))

    return provide


def _name(what: str) -> str:
    """The name of a boundary; numbered where one request passes it more than once."""
    if not has_app_context():
        return f"background: {what}"
    who = request.endpoint if has_request_context() else f"{current_app.name} in the background"
    seen: Counter[str] = g.setdefault("boundaries", Counter())
    seen[what] += 1
    return f"{who}: {what}" + (f" ({seen[what]})" if seen[what] > 1 else "")

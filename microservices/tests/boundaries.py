"""The boundaries of either shop: before and after each commit, each call to another service, each charge of a card.

They are where a crash leaves something half done. They are found from outside, around the few functions through which
everything that lasts has to pass; so the shops hold no word of it, and a new commit or call is a boundary by itself.
Whoever visits one is told its name, such as `orders.place: after POST /internal/reservations`, and may raise there.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from flask import current_app, g, has_app_context, has_request_context, request

from microservices.chassis import database as of_a_service
from microservices.chassis.transport import ConnectionLost, Transport
from microservices.payments import provider as of_the_split
from microservices.tests.in_process import Direct
from monolith.chassis import database as of_the_monolith
from monolith.payments import provider as of_the_block

Visit = Callable[[str], None]

KEYS = "/.well-known/jwks.json"
"""Asked for once in a process, before anything is done: no boundary of a checkout."""
ID = re.compile(r"(?<=/)([0-9a-f]{32}|C\d+)(?=/|$)")
_open = threading.local()


class Crash(BaseException):
    """Stands for a kill in this process: no handler of the shops' catches it."""


@contextmanager
def installed(visit: Visit) -> Iterator[None]:
    """Have `visit` called at every boundary that this process comes to."""
    with ExitStack() as stack:
        for module in (of_a_service, of_the_monolith):
            original = module.Database.writing
            stack.enter_context(patch.object(module.Database, "writing", _transaction(original, visit)))
        for kind in (Transport, Direct):
            stack.enter_context(patch.object(kind, "send", _call(kind.send, visit)))
        for provider, verb in ((of_the_split, "charge"), (of_the_split, "void"), (of_the_block, "charge")):
            stack.enter_context(patch.object(provider, verb, _charge(verb, getattr(provider, verb), visit)))
        yield


def in_transaction() -> bool:
    """Whether this thread is inside a writing transaction: nobody else can write to that database then."""
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


def _call(original: Any, visit: Visit) -> Callable[..., Any]:
    def send(self: Any, method: str, path: str, *rest: Any) -> Any:
        if path == KEYS:
            return original(self, method, path, *rest)
        what = f"{method} {ID.sub('*', path.partition('?')[0])}"
        visit(_name(f"before {what}"))
        try:
            answer = original(self, method, path, *rest)
        except Crash as crash:  # of the other side; on this one the connection is gone
            raise ConnectionLost from crash
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
    """Who comes to which boundary; numbered where one request comes to the same more than once."""
    if not has_app_context():
        return f"background: {what}"
    who = request.endpoint if has_request_context() else f"{current_app.name} in the background"
    seen: Counter[str] = g.setdefault("boundaries", Counter())
    seen[what] += 1
    return f"{who}: {what}" + (f" ({seen[what]})" if seen[what] > 1 else "")

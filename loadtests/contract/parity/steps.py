"""One request of a parity script, written before any response is known.

Each shop makes its own order ids. So a step names an order by the idempotency key of its checkout, `{order:KEY}`, and
`execute` replaces that with the id of the shop.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from loadtests.contract.client import session_cookie

PASSWORD = "correct-horse-battery"  # noqa: S105 - of the demo accounts, not a secret
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Step:
    """A request. `operation` is its operationId in docs/openapi.yaml, or the kind of page or mistake it is.

    `actor` names the earlier sign-in whose token the request carries ("" for none). `keep` is the name under which the
    token of a sign-in, the id of a new customer or the order id of a checkout is kept.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    actor: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    keep: str = ""
    wire: str = ""
    """The whole request as it is sent, for what a client library would correct or refuse. `{host}` and `{token}` are
    filled in."""
    ends_early: bool = False
    """Whether the client then says that it sends nothing more, before the request is complete."""
    is_http: bool = True
    """Whether the shop's own rules say what the answer is. Otherwise the contract leaves it to the server."""

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def is_page(self) -> bool:
        """Whether it is an HTML page. Pages get the token in the session cookie."""
        return not self.path.startswith(("/api/", "/.well-known/"))

    def curl(self, url: str) -> str:
        """The request as a curl command. Tokens are shell variables, named after their actor."""
        if self.wire:
            sent = _shortened(self.wire.encode("unicode_escape").decode())
            address = urlsplit(url)
            return f"printf {shlex.quote(sent)} | nc {address.hostname} {address.port}"
        words = ["curl", "-si", "-X", self.method]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}"]
        if self.body is not None:
            words += ["--data-binary", _shortened(self.body)]
        line = shlex.join([*words, url + self.target])
        if not self.actor:
            return line
        token = f"${{{self.actor.upper()}_TOKEN}}"
        credentials = (
            f"Cookie: {session_cookie(url)}={token}" if self.is_page else f"Authorization: Bearer {token}"
        )
        return f'{line} -H "{credentials}"'


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The data of the shops that a script needs."""

    skus: Sequence[str]
    categories: Sequence[str]
    words: Sequence[str]


def get(operation: str, path: str, actor: str = "", **query: object) -> Step:
    """A step with GET."""
    asked = tuple((name, str(value)) for name, value in query.items())
    return Step(operation, "GET", path, asked, actor)


def send(
    operation: str, method: str, path: str, body: Any, actor: str = "", keep: str = "", key: str = ""
) -> Step:
    """A step with a JSON body and, if given, an idempotency key."""
    headers = JSON | ({"Idempotency-Key": key} if key else {})
    return Step(operation, method, path, (), actor, headers, json.dumps(body), keep)


def sign_in(name: str, email: str, password: str = PASSWORD) -> Step:
    """A sign-in whose token is kept under `name`."""
    return send("signIn", "POST", "/api/sessions", {"email": email, "password": password}, keep=name)


def on_wire(
    operation: str,
    head: str,
    *,
    actor: str = "",
    body: str = "",
    ends_early: bool = False,
    is_http: bool = True,
) -> Step:
    """A step that is sent as it is written. `head` has one line for each line of the request, without the empty one."""
    method, _, rest = head.partition(" ")
    wire = head.replace("\n", "\r\n") + "\r\n\r\n" + body
    return Step(
        operation,
        method,
        rest.partition(" ")[0],
        actor=actor,
        wire=wire,
        ends_early=ends_early,
        is_http=is_http,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 400 else f"{text[:400]}..."

"""One request of a parity script, before it is known what either shop answers.

An order's id is made by the shop, so a step names an order by the idempotency key of its checkout, `{order:KEY}`,
and whoever sends the step puts that shop's id in its place.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

PASSWORD = "correct-horse-battery"  # noqa: S105 - of the demo accounts, and no secret
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Step:
    """A request: `operation` is its operationId in docs/openapi.yaml, or the kind of page or mistake it is.

    `actor` signs the request, by the name under which an earlier sign-in kept the token ("" for nobody);
    `keep` is the name under which a sign-in's token, a new customer's id or a checkout's order id is kept.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    actor: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    keep: str = ""

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def is_page(self) -> bool:
        """Whether it is for people; those carry the token in the session cookie."""
        return not self.path.startswith(("/api/", "/.well-known/"))

    def curl(self, url: str) -> str:
        """The request as a line to paste; tokens stand in variables named after whom they belong to."""
        words = ["curl", "-si", "-X", self.method]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}"]
        if self.body is not None:
            words += ["--data-binary", self.body if len(self.body) <= 400 else f"{self.body[:400]}..."]
        line = shlex.join([*words, url + self.target])
        if not self.actor:
            return line
        token = f"${{{self.actor.upper()}_TOKEN}}"
        credentials = f"Cookie: shop_session={token}" if self.is_page else f"Authorization: Bearer {token}"
        return f'{line} -H "{credentials}"'


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a script must know of the shops' data."""

    skus: Sequence[str]
    categories: Sequence[str]
    words: Sequence[str]


def get(operation: str, path: str, actor: str = "", **query: object) -> Step:
    """A step that only reads."""
    asked = tuple((name, str(value)) for name, value in query.items())
    return Step(operation, "GET", path, asked, actor)


def send(
    operation: str, method: str, path: str, body: Any, actor: str = "", keep: str = "", key: str = ""
) -> Step:
    """A step with a JSON body, and an idempotency key where one is given."""
    headers = JSON | ({"Idempotency-Key": key} if key else {})
    return Step(operation, method, path, (), actor, headers, json.dumps(body), keep)


def sign_in(name: str, email: str, password: str = PASSWORD) -> Step:
    """A sign-in whose token is kept under `name`."""
    return send("signIn", "POST", "/api/sessions", {"email": email, "password": password}, keep=name)

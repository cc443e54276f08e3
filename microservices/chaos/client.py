"""A customer's client that handles errors as docs/api.md says, and records every answer.

After 502, 503, 504 or no answer it retries, at most four times and not before Retry-After. A request has failed only
if the last retry fails too. A checkout that is "still in progress" is no failure: the client retries until it knows
the outcome, or until half a minute is over.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from microservices.chaos.snapshot import ObservedCheckout

MAX_RETRIES = 4
PAUSE_SECONDS = 1.0
CHECKOUT_TIMEOUT_SECONDS = 30.0
REQUEST_TIMEOUT_SECONDS = 10.0
TRANSIENT = frozenset({502, 503, 504})
IN_PROGRESS = "checkout-in-progress"


class Outcome(StrEnum):
    """The outcome of a request, after all its retries."""

    OK = "ok"
    REFUSED = "refused"
    """By a rule of the shop: no stock, a declined card."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """A checkout whose outcome no answer told."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document; empty when the answer is none."""
        is_problem = "problem+json" in self.headers.get("content-type", "")
        return dict(json.loads(self.body)) if is_problem else {}

    @property
    def slug(self) -> str:
        """The kind of problem; empty when the answer is no problem document."""
        return str(self.problem.get("type", "")).removeprefix("/problems/")

    @property
    def is_replay(self) -> bool:
        """Whether it is the stored answer to an earlier request with the same key."""
        return self.headers.get("idempotency-replayed") == "true"

    @property
    def is_failure(self) -> bool:
        """Whether the shop itself failed now. A silent payment provider does not count, nor does a replayed answer."""
        return self.status >= 500 and self.slug != "payment-timed-out" and not self.is_replay

    @property
    def pause(self) -> float:
        """Seconds to wait before a retry."""
        asked = self.headers.get("retry-after", "")
        return float(asked) if asked.isdigit() else PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the network."""

    what: str
    """Method and path, such as `GET /products/P00001`."""
    began: float
    """As time.monotonic()."""
    seconds: float
    status: int | None
    failed: bool
    """Whether it failed because of the shop."""

    @property
    def ended(self) -> float:
        """As time.monotonic()."""
        return self.began + self.seconds


@dataclass(slots=True)
class History:
    """The requests and answers of all clients; threads share it."""

    attempts: list[Attempt] = field(default_factory=list)
    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    """By persona."""
    checkouts: list[ObservedCheckout] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """A sentence for each request that failed."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record_outcome(self, persona: str, what: str, outcome: Outcome, last: Reply | None) -> None:
        """Count how a request ended."""
        with self.lock:
            self.outcomes[persona, outcome] += 1
            if outcome in {Outcome.FAILED, Outcome.UNKNOWN}:
                said = f"{last.status} {last.body[:120]!r}" if last else "no answer"
                self.failures.append(f"{what} of a {persona} is {outcome}, last: {said}")

    def total(self, *outcomes: Outcome) -> int:
        """How many requests had one of these outcomes; without outcomes, how many there were."""
        wanted = outcomes or tuple(Outcome)
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome in wanted)

    def since(self, moment: float) -> list[Attempt]:
        """The attempts that ended after `moment` (time.monotonic()), in order of their ends."""
        recent = []
        for attempt in reversed(self.attempts.copy()):
            if attempt.ended < moment:
                break
            recent.append(attempt)
        return recent[::-1]

    def statuses(self) -> Counter[str]:
        """How many attempts got each status; "none" for no answer."""
        return Counter(str(attempt.status or "none") for attempt in self.attempts)


class Client:
    """One connection to the shop, used by one thread."""

    def __init__(self, port: int, history: History, persona: str) -> None:
        self.persona, self.history = persona, history
        self.headers: dict[str, str] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_SECONDS)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply | None:
        """One request without retries; None when there was no answer."""
        sent = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {} if sent is None else {"Content-Type": "application/json"}
        all_headers = {**kind, **self.headers, **named}
        began = time.monotonic()
        reply: Reply | None = None
        try:
            self._connection.request(method, path, sent, all_headers)
            response = self._connection.getresponse()
            content = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            reply = Reply(response.status, found, content)
        except (OSError, http.client.HTTPException):
            self._connection.close()
        took = time.monotonic() - began
        what, status = f"{method} {path.partition('?')[0]}", reply.status if reply else None
        self.history.attempts.append(Attempt(what, began, took, status, reply is None or reply.is_failure))
        return reply

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply | None:
        """A request with retries; counts its outcome. Returns the answer, None when it failed."""
        reply = self.send(method, path, body, **headers)
        for _ in range(MAX_RETRIES):
            if reply is not None and reply.status not in TRANSIENT:
                break
            time.sleep(reply.pause if reply else PAUSE_SECONDS)
            reply = self.send(method, path, body, **headers)
        if reply is not None and reply.status < 400:
            self.history.record_outcome(self.persona, f"{method} {path}", Outcome.OK, reply)
            return reply
        self.history.record_outcome(self.persona, f"{method} {path}", Outcome.FAILED, reply)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Customer(Client):
    """A client with an account, which buys and records the answers to its checkouts."""

    def __init__(self, port: int, history: History, persona: str, name: str) -> None:
        super().__init__(port, history, persona)
        self._name = name
        self.unresolved: list[tuple[str, str]] = []
        """Key and card of each checkout whose outcome is not known."""
        self.id = self._register()
        self._sign_in()

    def check_out(self, key: str, card: str, timeout: float = CHECKOUT_TIMEOUT_SECONDS) -> Reply | None:
        """Check out with one key until an answer is final; None when none was, and the key is then unresolved."""
        until, left = time.monotonic() + timeout, MAX_RETRIES
        while True:
            reply = self.send("POST", "/api/orders", {"card_number": card}, Idempotency_Key=key)
            if reply is not None and is_final(reply):
                order = json.loads(reply.body) if reply.status == 201 else None
                self._record(ObservedCheckout(self.id, key, reply.status, order, final=True))
                return reply
            self._record(ObservedCheckout(self.id, key, None))
            left -= not (reply and reply.slug == IN_PROGRESS)
            pause = reply.pause if reply else PAUSE_SECONDS
            if left < 0 or time.monotonic() + pause > until:
                self.unresolved.append((key, card))
                return None
            time.sleep(pause)

    def resolve(self, until: float) -> None:
        """Retry every unresolved checkout until `until` (time.monotonic()); call it once the shop is healthy."""
        waiting, self.unresolved = self.unresolved, []
        for key, card in waiting:
            reply = self.check_out(key, card, max(0.0, until - time.monotonic()))
            while reply is None and time.monotonic() < until:
                self.unresolved.pop()
                reply = self.check_out(key, card, max(0.0, until - time.monotonic()))

    def _record(self, checkout: ObservedCheckout) -> None:
        with self.history.lock:
            self.history.checkouts.append(checkout)

    def _register(self) -> str:
        new = {"email": self.email, "password": PASSWORD, "name": "A Customer"}
        return str(_require(self.ask("POST", "/api/customers", new), "register")["id"])

    def _sign_in(self) -> None:
        reply = self.ask("POST", "/api/sessions", {"email": self.email, "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {_require(reply, 'sign in')['token']}"}

    @property
    def email(self) -> str:
        """The email address to sign in with."""
        return f"{self._name}@example.com"


PASSWORD = "correct-horse-battery"  # noqa: S105 -- for accounts in a shop that is deleted


class InconclusiveRun(Exception):
    """The run says nothing about the shop, for example because no customer could register; the text is one sentence."""


def is_final(reply: Reply) -> bool:
    """Whether an answer tells the outcome of a checkout, by the rules of docs/api.md."""
    decided = reply.problem.get("final", reply.status < 500 and reply.slug != IN_PROGRESS)
    return reply.is_replay or bool(decided)


def _require(reply: Reply | None, what: str) -> dict[str, Any]:
    if reply is None:
        raise InconclusiveRun(
            f"A customer could not {what} before the first fault; see the logs in the shop's folder."
        )
    found: dict[str, Any] = json.loads(reply.body)
    return found

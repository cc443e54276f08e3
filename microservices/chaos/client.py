"""A customer's program that does what docs/api.md says about trouble, and remembers everything that it was told.

After 502, 503, 504 or no answer at all it asks again, at most four times and not before Retry-After. A request has
failed only when it still fails then. A checkout that is "still in progress" is no failure: it is asked about until
its end is known, or half a minute is over.
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

from microservices.chaos.invariants import Told

REPEATS = 4
PAUSE_SECONDS = 1.0
LONGEST_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0
PASSING = frozenset({502, 503, 504})
IN_PROGRESS = "checkout-in-progress"


class Outcome(StrEnum):
    """What came of a request, with all its repeats."""

    OK = "ok"
    REFUSED = "refused"
    """By a rule of the shop: no stock, a card that does not pay."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """A checkout of which no answer told the end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; None stands for no answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def slug(self) -> str:
        """The kind of problem, empty when it is none."""
        if "problem+json" not in self.headers.get("content-type", ""):
            return ""
        return str(json.loads(self.body).get("type", "")).removeprefix("/problems/")

    @property
    def is_replay(self) -> bool:
        """Whether it is what was answered to the same key before."""
        return self.headers.get("idempotency-replayed") == "true"

    @property
    def is_failure(self) -> bool:
        """Whether the shop itself failed now: a provider that is silent is none, nor is an old refusal told again."""
        return self.status >= 500 and self.slug != "payment-timed-out" and not self.is_replay

    @property
    def pause(self) -> float:
        """Seconds to wait before asking again."""
        asked = self.headers.get("retry-after", "")
        return float(asked) if asked.isdigit() else PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as it went over the wire."""

    what: str
    """Method and path, such as `GET /products/P00001`."""
    began: float
    """On the clock of time.monotonic()."""
    seconds: float
    status: int | None
    failed: bool
    """Whether it came to nothing by the shop's fault."""

    @property
    def ended(self) -> float:
        """On the same clock."""
        return self.began + self.seconds


@dataclass(slots=True)
class History:
    """What all clients did and were told; shared among threads."""

    attempts: list[Attempt] = field(default_factory=list)
    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    """By persona."""
    told: list[Told] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """A sentence for each request that failed."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def counted(self, persona: str, what: str, outcome: Outcome, last: Reply | None) -> None:
        """Note how a request ended."""
        with self.lock:
            self.outcomes[persona, outcome] += 1
            if outcome in {Outcome.FAILED, Outcome.UNKNOWN}:
                said = f"{last.status} {last.body[:120]!r}" if last else "no answer"
                self.failures.append(f"{what} of a {persona} is {outcome}, last: {said}")

    def total(self, *outcomes: Outcome) -> int:
        """How many requests ended so; all of them when none is named."""
        wanted = outcomes or tuple(Outcome)
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome in wanted)

    def since(self, moment: float) -> list[Attempt]:
        """The attempts that ended after a moment of time.monotonic(), in the order of their ends."""
        recent = []
        for attempt in reversed(self.attempts.copy()):
            if attempt.ended < moment:
                break
            recent.append(attempt)
        return recent[::-1]

    def statuses(self) -> Counter[str]:
        """How often each status was answered, over all attempts."""
        return Counter(str(attempt.status or "none") for attempt in self.attempts)


class Client:
    """One connection to the shop, used by one thread."""

    def __init__(self, port: int, history: History, persona: str) -> None:
        self.persona, self.history = persona, history
        self.headers: dict[str, str] = {}
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply | None:
        """One request without repeats; None when there was no answer."""
        sent = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {} if sent is None else {"Content-Type": "application/json"}
        all_headers = {**kind, **self.headers, **named}
        began = time.monotonic()
        reply: Reply | None = None
        try:
            self._line.request(method, path, sent, all_headers)
            response = self._line.getresponse()
            content = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            reply = Reply(response.status, found, content)
        except (OSError, http.client.HTTPException):
            self._line.close()
        took = time.monotonic() - began
        what, status = f"{method} {path.partition('?')[0]}", reply.status if reply else None
        self.history.attempts.append(Attempt(what, began, took, status, reply is None or reply.is_failure))
        return reply

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply | None:
        """A request that may be repeated, as often as it is documented; the last answer, counted."""
        reply = self.send(method, path, body, **headers)
        for _ in range(REPEATS):
            if reply is not None and reply.status not in PASSING:
                break
            time.sleep(reply.pause if reply else PAUSE_SECONDS)
            reply = self.send(method, path, body, **headers)
        if reply is not None and reply.status < 400:
            self.history.counted(self.persona, f"{method} {path}", Outcome.OK, reply)
            return reply
        self.history.counted(self.persona, f"{method} {path}", Outcome.FAILED, reply)
        return None

    def close(self) -> None:
        """Hang up."""
        self._line.close()


class Customer(Client):
    """A client with an account, who buys and keeps what was said about each checkout."""

    def __init__(self, port: int, history: History, persona: str, name: str) -> None:
        super().__init__(port, history, persona)
        self._name = name
        self.open: list[tuple[str, str]] = []
        """Keys, each with its card, of checkouts whose end is not known."""
        self.id = self._register()
        self._sign_in()

    def check_out(self, key: str, card: str, patience: float = LONGEST_SECONDS) -> Reply | None:
        """Check out with one key until an answer is final; None when none was, and then the key stays open."""
        until, left = time.monotonic() + patience, REPEATS
        while True:
            reply = self.send("POST", "/api/orders", {"card_number": card}, Idempotency_Key=key)
            if reply is not None and is_final(reply):
                order = json.loads(reply.body) if reply.status == 201 else None
                self._told(Told(self.id, key, reply.status, order, final=True))
                return reply
            self._told(Told(self.id, key, None))
            left -= not (reply and reply.slug == IN_PROGRESS)
            pause = reply.pause if reply else PAUSE_SECONDS
            if left < 0 or time.monotonic() + pause > until:
                self.open.append((key, card))
                return None
            time.sleep(pause)

    def resolve(self, until: float) -> None:
        """Ask again about every checkout whose end is not known, until then; once the shop is well."""
        waiting, self.open = self.open, []
        for key, card in waiting:
            reply = self.check_out(key, card, max(0.0, until - time.monotonic()))
            while reply is None and time.monotonic() < until:
                self.open.pop()
                reply = self.check_out(key, card, max(0.0, until - time.monotonic()))

    def _told(self, told: Told) -> None:
        with self.history.lock:
            self.history.told.append(told)

    def _register(self) -> str:
        new = {"email": self.email, "password": PASSWORD, "name": "A Customer"}
        return str(_needed(self.ask("POST", "/api/customers", new), "register")["id"])

    def _sign_in(self) -> None:
        reply = self.ask("POST", "/api/sessions", {"email": self.email, "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {_needed(reply, 'sign in')['token']}"}

    @property
    def email(self) -> str:
        """What this customer signs in with."""
        return f"{self._name}@example.com"


PASSWORD = "correct-horse-battery"  # noqa: S105 -- of accounts in a shop that is thrown away


class NotServed(Exception):
    """The shop did not do what a customer needs before the first fault; the text is a sentence."""


def is_final(reply: Reply) -> bool:
    """Whether a checkout's answer tells its end: docs/api.md says which leave it open."""
    return reply.is_replay or (reply.status < 500 and reply.slug != IN_PROGRESS)


def _needed(reply: Reply | None, what: str) -> dict[str, Any]:
    if reply is None:
        raise NotServed(
            f"A customer could not {what} before the first fault; see the logs in the shop's folder."
        )
    found: dict[str, Any] = json.loads(reply.body)
    return found

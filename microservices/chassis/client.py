"""Calls to another service: always with a timeout, retried only where that is safe, behind a circuit breaker.

Every failure is raised as an UpstreamError. A refusal by the other service is raised as the Problem class with its
slug. Retries are a loop of our own instead of urllib3's Retry: that one gives every attempt the full timeout again,
so it exceeds the deadline, and its first pause has no jitter.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeAlias, TypeVar, get_args, get_type_hints, is_typeddict

import requests
from requests.adapters import BaseAdapter

from . import context, spans
from .breaker import Breaker, RetryBudget
from .deadline import DeadlineAdapter, timed_out_connections_kept_open
from .errors import (
    BadUpstream,
    Problem,
    UnexpectedRefusal,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from .observability import Metrics
from .runtime import runtime
from .tokens import ServiceTokens

log = logging.getLogger(__name__)
T = TypeVar("T")
Members: TypeAlias = Mapping[str, Any] | None
Read: TypeAlias = Callable[[Any], T]
"""Turns the JSON of a response into what the caller wants; raises when the response is not as agreed."""

MAX_ATTEMPTS = 3
PAUSE_SECONDS = 0.05
BLAME_AFTER_SHARE = 0.4
"""A timeout counts against the service only after this share of it. Below 0.5, because a first attempt gets half."""
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


def as_it_is(document: Any) -> Any:
    """A `read` that checks nothing and returns the document unchanged."""
    return document


class BreakerOpen(UpstreamUnavailable):
    """The circuit breaker is open: the service failed so often that it is not called for a moment."""


@dataclass(slots=True)
class Call(Generic[T]):
    """One call, the same for every attempt."""

    request: requests.PreparedRequest
    raises: Sequence[type[Problem]]
    repeatable: bool
    deadline: float
    """On the clock of time.monotonic()."""
    blame_after: float
    """Seconds: a timeout after less time is not counted against the service."""
    read: Read[T]
    second_chance: bool
    """Whether the first attempt gets only half of the time, so that another replica can be asked in the rest."""
    attempts: int = 0

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def attempt_timeout(self) -> float:
        """Seconds for the attempt that is about to begin."""
        return self.left() / 2 if self.second_chance and self.attempts == 0 else self.left()


class Upstream:
    """Another service, as this one sees it: at `url`, reached by a Session with `adapter` mounted on it."""

    def __init__(
        self,
        name: str,
        url: str,
        adapter: BaseAdapter,
        *,
        timeout: float,
        tokens: ServiceTokens,
        metrics: Metrics,
    ) -> None:
        self.name, self.timeout = name, timeout
        self.breaker, self.budget = Breaker(name), RetryBudget()
        self._url, self._tokens, self._metrics = url, tokens, metrics
        self._session = requests.Session()
        self._session.trust_env = False  # never a proxy between services
        self._session.mount(url, adapter)

    def get(self, path: str, params: Members = None, *, read: Read[T] = as_it_is, **options: Any) -> T:
        """Send a GET; see `call` for the options."""
        return self.call("GET", path, params=params, read=read, **options)

    def post(self, path: str, body: Members = None, *, read: Read[T] = as_it_is, **options: Any) -> T:
        """Send a POST; pass `idempotent=True` when a second one has no further effect."""
        return self.call("POST", path, body, read=read, **options)

    def call(
        self,
        method: str,
        path: str,
        body: Members = None,
        *,
        params: Members = None,
        headers: Mapping[str, str] | None = None,
        raises: Sequence[type[Problem]] = (),
        idempotent: bool | None = None,
        timeout: float | None = None,
        read: Read[T] = as_it_is,
    ) -> T:
        """Send a request and return `read(document)`; the document is the response's JSON, or None without a body.

        Raises one of `raises` when the service refuses with its slug, UpstreamError for everything else.
        `idempotent` allows retries (default: every method but POST). `timeout` in seconds is for the whole call with
        all its attempts; an earlier deadline of the request that we serve wins. When `read` raises, the response is
        not as agreed (BadUpstream); see `require_keys`.

        A GET without a `timeout` of its own is sent again when half of the time is over: the first replica may hang,
        and the next one answers. A caller that sets a `timeout` can do without the response, so its first attempt may
        use all of the time.
        """
        here = context.current()
        second_chance = method == "GET" and timeout is None
        timeout = timeout or self.timeout
        deadline = time.monotonic() + timeout
        headers = self._headers(path, here, headers)
        # Prepared without the Session: its cookies must not go from one customer's call into another's.
        request = requests.Request(method, self._url + path, headers, json=body, params=params).prepare()
        call = Call(
            request,
            raises,
            method != "POST" if idempotent is None else idempotent,
            deadline if here is None else min(deadline, here.deadline),
            timeout * BLAME_AFTER_SHARE,
            read,
            second_chance,
        )
        with timed_out_connections_kept_open():
            return self._observed(call)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _headers(
        self, path: str, here: context.Context | None, extra: Mapping[str, str] | None
    ) -> dict[str, str]:
        headers = HEADERS.copy()
        if here is not None:
            headers.update(here.headers())
        if path.startswith("/internal/"):
            token = self._tokens.issue(self.name)
            if token is not None:
                headers["Authorization"] = f"Service {token}"
        if extra is not None:
            headers.update(extra)
        return headers

    def _observed(self, call: Call[T]) -> T:
        """Make the call and count it; log a failure."""
        started, outcome = time.perf_counter(), "ok"
        try:
            return self._repeated(call)
        except BreakerOpen:
            outcome = "refused-by-breaker"  # not logged: there may be thousands, and the breaker logged that it opened
            raise
        except Problem as problem:
            outcome = problem.slug
            if isinstance(problem, UpstreamError):
                ms = round((time.perf_counter() - started) * 1000)
                where = f"{self.name} {call.request.method} {call.request.path_url}"
                log.warning("%s: %s (%d ms, %d attempts)", where, problem, ms, call.attempts)
            raise
        finally:
            self._metrics.called(self.name, outcome, call.attempts)

    def _repeated(self, call: Call[T]) -> T:
        """Attempt the call; retry after temporary failures while the deadline and the retry budget allow it."""
        self.budget.earn()
        while True:
            try:
                return self._admitted(call)
            except UpstreamError as error:
                # Full jitter: callers that failed together must not retry together.
                pause = random.uniform(0, PAUSE_SECONDS * 2**call.attempts)  # noqa: S311 - hides nothing
                if not (error.passing and call.repeatable and call.attempts < MAX_ATTEMPTS):
                    raise
                if pause >= call.left() or not self.budget.spend():
                    raise
            time.sleep(pause)

    def _admitted(self, call: Call[T]) -> T:
        """One attempt, if time is left and the breaker admits it; the outcome is reported to the breaker."""
        left = call.left()
        if left <= 0:
            raise UpstreamTimeout(f"The time was up before the {self.name} service could be asked.")
        ticket = self.breaker.admit()
        if ticket is None:
            spans.refused(self.name)
            raise BreakerOpen(f"The {self.name} service is not answering just now.")
        report = self.breaker.undecided
        try:
            answer = self._attempt(call)
            report = self.breaker.succeeded
        except UpstreamTimeout:
            if left >= call.blame_after:
                report = self.breaker.failed
            raise
        except UpstreamError as error:
            report = self.breaker.succeeded if isinstance(error, UnexpectedRefusal) else self.breaker.failed
            raise
        except Problem:
            report = self.breaker.succeeded
            raise
        finally:
            report(ticket)
        return answer

    def _attempt(self, call: Call[T]) -> T:
        timeout = call.attempt_timeout()
        call.attempts += 1
        call.request.headers[context.DEADLINE_HEADER] = str(int(timeout * 1000))
        try:
            # Session.request() would prepare the request for each attempt, and read cookies and the environment,
            # which costs a third more CPU.
            response = self._session.send(call.request, timeout=timeout, allow_redirects=False)
        except requests.ReadTimeout as error:
            late = UpstreamTimeout(f"The {self.name} service did not answer in time.")
            late.passing = call.second_chance and call.attempts == 1
            raise late from error
        except requests.RequestException as error:
            lost = UpstreamUnavailable(f"The {self.name} service cannot be reached just now.")
            lost.passing = True
            raise lost from error
        document = parse_response(self.name, response, call.raises)
        try:
            return call.read(document)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise BadUpstream(f"The {self.name} service answered with JSON that is not as agreed.") from None


def require_keys(shape: type[T]) -> Read[T]:
    """A `read` that returns the document unchanged, or raises when a key of the TypedDict `shape` is missing.

    The items of a list of TypedDicts need all their keys too. Other keys are allowed, and types are not checked.
    """
    hints = get_type_hints(shape)
    keys = itemgetter(*hints)
    lists = [
        (name, require_keys(item))
        for name, hint in hints.items()
        for item in get_args(hint)
        if is_typeddict(item)
    ]

    def read(document: Any) -> T:
        keys(document)
        for name, read_item in lists:
            for item in document[name]:
                read_item(item)
        found: T = document
        return found

    return read


def parse_response(name: str, response: requests.Response, raises: Sequence[type[Problem]]) -> Any:
    """The JSON of a successful response; raises the problem that any other response means."""
    document: Any = None
    content_type, status = response.headers.get("Content-Type", ""), response.status_code
    if response.content and content_type.startswith(("application/json", "application/problem+json")):
        try:
            document = json.loads(
                response.content
            )  # response.json() would put U+FFFD where bytes are no UTF-8
        except (ValueError, RecursionError):
            raise BadUpstream(f"The {name} service answered with broken JSON.") from None
    if 200 <= status < 300:
        if response.content and document is None:
            raise BadUpstream(f"The {name} service answered with something that is not JSON.")
        return document
    if isinstance(document, dict):
        slug = str(document.get("type", "")).removeprefix("/problems/")
        for problem in raises:
            if problem.slug == slug:
                raise problem.from_dict(document)
    raise _failure(name, status, from_a_proxy=document is None)


def _failure(name: str, status: int, *, from_a_proxy: bool) -> UpstreamError:
    failure: UpstreamError
    if status in {429, 503}:
        failure = UpstreamUnavailable(f"The {name} service cannot answer just now.")
    elif status == 504:
        failure = UpstreamTimeout(f"The {name} service did not answer in time.")
    elif 400 <= status < 500:
        failure = UnexpectedRefusal(f"The {name} service refused what it was asked ({status}).")
    else:
        failure = BadUpstream(f"The {name} service failed ({status}).")
    # A problem comes from the service itself, which has retried already what can be retried.
    failure.passing = from_a_proxy and status in {502, 503}
    return failure


def upstream(name: str) -> Upstream:
    """The client of the service `name`, for the application of this request; made at the first call."""
    service = runtime()
    found = service.upstreams.get(name)
    if found is None:
        config = service.config
        made = Upstream(
            name,
            config.urls[name],
            DeadlineAdapter(pool_connections=1, pool_maxsize=config.threads),
            timeout=config.timeout,
            tokens=service.service_tokens,
            metrics=service.metrics,
        )
        found = service.upstreams.setdefault(name, made)
    return found

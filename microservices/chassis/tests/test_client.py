"""Calls to another service, against a server that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, TypedDict

import pytest

from microservices.chassis import context
from microservices.chassis.breaker import Breaker
from microservices.chassis.client import BreakerOpen, Upstream, require_keys
from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.errors import (
    BadUpstream,
    NotAuthenticated,
    Problem,
    UnexpectedRefusal,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from microservices.chassis.observability import Metrics
from microservices.chassis.tests.conftest import Behaviour, Connection, Stub
from microservices.chassis.tokens import ServiceTokens

ALLOWANCE = 0.25  # seconds that a call may outlive its deadline


class SoldOut(Problem):
    status, slug, title = 409, "sold-out", "Sold out"

    def __init__(self, thing: str) -> None:
        super().__init__(f"No {thing} left.", thing=thing)


def fine(connection: Connection) -> None:
    connection.answer(200, {"fine": True})


def test_an_answer_comes_back_as_what_its_json_says(upstream: Upstream, stub: Stub) -> None:
    assert upstream.get("/things", {"q": "a b&c"}) == {"fine": True}
    assert stub.requests[0].path == "/things?q=a+b%26c"


def test_an_answer_without_a_body_comes_back_as_none(upstream: Upstream, stub: Stub) -> None:
    stub.behave = lambda connection: connection.socket.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert upstream.post("/things", {"a": 1}) is None
    assert stub.requests[0].body == b'{"a": 1}'


def test_calls_one_after_the_other_share_a_connection(upstream: Upstream, stub: Stub) -> None:
    for _ in range(5):
        upstream.get("/things")
        upstream.post("/things", {})
    assert stub.connections == 1


def test_request_id_and_trace_travel_along_with_a_span_of_their_own(
    upstream: Upstream, stub: Stub, here: context.Context
) -> None:
    upstream.get("/things")
    upstream.get("/things")
    first, second = (request.headers for request in stub.requests)
    assert first["x-request-id"] == second["x-request-id"] == "request-1"
    assert first["traceparent"].startswith(f"00-{'a' * 32}-")
    assert first["traceparent"] != second["traceparent"] != here.traceparent


def test_only_internal_routes_get_the_service_token(
    upstream: Upstream, stub: Stub, tokens: ServiceTokens
) -> None:
    upstream.get("/api/things")
    upstream.get("/internal/things")
    public, internal = (request.headers for request in stub.requests)
    assert "authorization" not in public
    assert internal["authorization"] == f"Service {tokens.issue('stub')}"


def test_the_callee_is_told_how_much_time_is_left(
    upstream: Upstream, stub: Stub, here: context.Context
) -> None:
    here.deadline = time.monotonic() + 0.3
    upstream.get("/things")
    assert 100 < int(stub.requests[0].headers["x-deadline-ms"]) <= 300


@pytest.mark.timed
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Connection.reset, UpstreamUnavailable),
        (Connection.cut_off, UpstreamUnavailable),
        (Connection.hang, UpstreamTimeout),
        (Connection.silent_after_the_head, UpstreamTimeout),
        (Connection.trickle, UpstreamTimeout),
        (Connection.trickle_in_the_head, UpstreamTimeout),
        (Connection.trickle_on_a_connection_that_is_to_close, UpstreamTimeout),
        (lambda connection: connection.answer(200, b"{oops"), BadUpstream),
        (lambda connection: connection.answer(200, b"[" * 100_000), BadUpstream),
        (lambda connection: connection.answer(200, b"<html>", "text/html"), BadUpstream),
        (lambda connection: connection.answer(302, b"", "text/html"), BadUpstream),
        (lambda connection: connection.answer(500, b"oops", "text/plain"), BadUpstream),
        (lambda connection: connection.answer(502, b"", "text/plain"), BadUpstream),
        (lambda connection: connection.answer(503, b"", "text/plain"), UpstreamUnavailable),
        (lambda connection: connection.answer(504, b"", "text/plain"), UpstreamTimeout),
        (lambda connection: connection.problem(429, "slow-down"), UpstreamUnavailable),
        (lambda connection: connection.problem(418, "teapot"), UnexpectedRefusal),
        (lambda connection: connection.socket.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"), UpstreamUnavailable),
    ],
)
def test_whatever_goes_wrong_is_an_upstream_error_before_the_deadline(
    upstream: Upstream, stub: Stub, behaviour: Behaviour, error: type[UpstreamError]
) -> None:
    stub.behave = behaviour
    started = time.monotonic()
    with pytest.raises(UpstreamError) as raised:
        upstream.get("/things")
    assert raised.type is error
    assert time.monotonic() - started < upstream.timeout + ALLOWANCE


def test_a_service_that_is_not_there_is_unavailable(metrics: Metrics, tokens: ServiceTokens) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        upstream = Upstream("nobody", url, DeadlineAdapter(), timeout=0.5, tokens=tokens, metrics=metrics)
        with pytest.raises(UpstreamUnavailable, match="nobody service cannot be reached"):
            upstream.get("/things")
        upstream.close()


@pytest.mark.timed
def test_the_deadline_of_the_request_being_served_wins_over_the_timeout(
    upstream: Upstream, stub: Stub, here: context.Context
) -> None:
    stub.behave = Connection.hang
    here.deadline = time.monotonic() + 0.1
    with pytest.raises(UpstreamTimeout):
        upstream.get("/things")
    assert time.monotonic() < here.deadline + ALLOWANCE


def test_nothing_is_sent_when_the_time_is_up_already(
    upstream: Upstream, stub: Stub, here: context.Context
) -> None:
    here.deadline = time.monotonic() - 1
    with pytest.raises(UpstreamTimeout, match="time was up"):
        upstream.get("/things")
    assert stub.requests == []


def test_a_get_that_is_lost_is_repeated(upstream: Upstream, stub: Stub) -> None:
    stub.then(Connection.reset, fine)
    assert upstream.get("/things") == {"fine": True}
    assert len(stub.requests) == 2


def test_a_post_that_is_lost_is_not_repeated(upstream: Upstream, stub: Stub) -> None:
    stub.then(Connection.reset, fine)
    with pytest.raises(UpstreamUnavailable):
        upstream.post("/things", {})
    assert len(stub.requests) == 1


def test_a_post_that_is_said_to_be_idempotent_is_repeated(upstream: Upstream, stub: Stub) -> None:
    stub.then(Connection.cut_off, fine)
    assert upstream.post("/things", {}, idempotent=True) == {"fine": True}
    assert [request.body for request in stub.requests] == [b"{}", b"{}"]


def test_an_error_of_a_proxy_is_repeated_but_a_problem_of_the_service_is_not(
    upstream: Upstream, stub: Stub
) -> None:
    for _ in range(100):
        upstream.budget.earn()
    stub.then(lambda connection: connection.answer(503, b"", "text/plain"), fine)
    assert upstream.get("/things") == {"fine": True}
    stub.requests.clear()
    stub.then(lambda connection: connection.problem(503, "unavailable"), fine)
    with pytest.raises(UpstreamUnavailable):
        upstream.get("/things")
    assert len(stub.requests) == 1


def test_a_call_is_attempted_three_times_at_most(upstream: Upstream, stub: Stub) -> None:
    for _ in range(100):
        upstream.budget.earn()
    stub.behave = Connection.reset
    with pytest.raises(UpstreamUnavailable):
        upstream.get("/things")
    assert len(stub.requests) == 3


def test_repeats_stay_below_a_tenth_of_the_calls(upstream: Upstream, stub: Stub) -> None:
    upstream.breaker = Breaker("stub", in_a_row=1000, window=1000)
    upstream.timeout = 10.0  # counted, not timed
    stub.behave = Connection.reset
    for _ in range(50):
        with pytest.raises(UpstreamUnavailable):
            upstream.get("/things")
    assert 50 < len(stub.requests) <= 50 + 1 + 50 * 0.1


def test_a_refusal_comes_back_as_the_class_that_the_caller_names(upstream: Upstream, stub: Stub) -> None:
    stub.behave = lambda connection: connection.problem(409, "sold-out", thing="kettle")
    with pytest.raises(SoldOut) as raised:
        upstream.post("/things", {}, raises=[NotAuthenticated, SoldOut])
    assert raised.value.facts == {"thing": "kettle"}
    assert raised.value.detail == "D"
    assert raised.value.to_dict()["type"] == "/problems/sold-out"


def test_five_failures_in_a_row_open_the_breaker_and_spare_the_service(
    upstream: Upstream, stub: Stub
) -> None:
    stub.behave = lambda connection: connection.answer(500, {})
    for _ in range(5):
        with pytest.raises(BadUpstream):
            upstream.get("/things")
    for _ in range(10):
        with pytest.raises(BreakerOpen):
            upstream.get("/things")
    assert len(stub.requests) == 5


def test_after_a_rest_one_good_probe_closes_the_breaker(upstream: Upstream, stub: Stub) -> None:
    now = [0.0]
    upstream.breaker = Breaker("stub", in_a_row=1, rest=1.0, clock=lambda: now[0])
    stub.then(lambda connection: connection.answer(500, {}), fine)
    with pytest.raises(BadUpstream):
        upstream.get("/things")
    now[0] = 0.9
    with pytest.raises(BreakerOpen):
        upstream.get("/things")
    now[0] = 1.1
    assert upstream.get("/things") == {"fine": True}
    assert upstream.get("/things") == {"fine": True}


@pytest.mark.parametrize("raises", [[], [SoldOut]])
def test_what_a_user_can_provoke_does_not_open_the_breaker(
    upstream: Upstream, stub: Stub, raises: list[type[Problem]]
) -> None:
    stub.behave = lambda connection: connection.problem(409, "sold-out", thing="kettle")
    for _ in range(30):
        with pytest.raises(Problem):
            upstream.get("/things", raises=raises)
    assert upstream.breaker.state == "closed"


def test_a_caller_with_a_short_timeout_does_not_open_the_breaker_for_others(
    upstream: Upstream, stub: Stub, here: context.Context
) -> None:
    stub.behave = Connection.hang
    for _ in range(6):
        here.deadline = time.monotonic() + 0.02
        with pytest.raises(UpstreamTimeout):
            upstream.get("/things")
    assert upstream.breaker.state == "closed"


def test_calls_and_attempts_are_counted_by_outcome(upstream: Upstream, stub: Stub, metrics: Metrics) -> None:
    stub.then(Connection.reset, fine, lambda connection: connection.answer(500, {}))
    upstream.get("/things")
    with pytest.raises(BadUpstream):
        upstream.get("/things")

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"upstream": "stub", **labels})

    assert value("upstream_calls_total", outcome="ok") == 1
    assert value("upstream_calls_total", outcome="bad-upstream") == 1
    assert value("upstream_attempts_total") == 3


def test_a_failure_leaves_one_line_in_the_log(
    upstream: Upstream, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    stub.behave = Connection.reset
    with pytest.raises(UpstreamUnavailable):
        upstream.post("/things", {})
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "stub POST /things: The stub service cannot be reached just now."
    ]


class Thing(TypedDict):
    sku: str


class Things(TypedDict):
    items: list[Thing]


class Counted(Things):
    total: int


@pytest.mark.parametrize(
    ("document", "shape", "is_agreed"),
    [
        ({"items": []}, Things, True),
        ({"items": [{"sku": "P1", "more": 1}], "more": 1}, Things, True),
        ({"items": []}, Counted, False),
        ({"items": [{"sku": "P1"}, {"name": "Teapot"}], "total": 2}, Counted, False),
        ({"items": "text"}, Things, False),
        ({"items": None}, Things, False),
        ([1], Things, False),
        ("text", Things, False),
    ],
)
def test_a_response_without_the_agreed_keys_is_a_bad_upstream(
    upstream: Upstream, stub: Stub, document: Any, shape: type[Any], is_agreed: bool
) -> None:
    stub.behave = lambda connection: connection.answer(200, document)
    if is_agreed:
        assert upstream.get("/things", read=require_keys(shape)) == document
    else:
        with pytest.raises(BadUpstream, match="not as agreed"):
            upstream.get("/things", read=require_keys(shape))


def test_a_document_that_read_fails_on_is_a_bad_upstream(upstream: Upstream, stub: Stub) -> None:
    with pytest.raises(BadUpstream, match="not as agreed"):
        upstream.get("/things", read=lambda things: things["items"][2])


def test_the_content_type_is_sent_only_with_a_body(upstream: Upstream, stub: Stub) -> None:
    upstream.get("/things")
    upstream.call("DELETE", "/things")
    upstream.post("/things", {})
    types = [request.headers.get("content-type") for request in stub.requests]
    assert types == [None, None, "application/json"]


def test_cookies_of_one_call_do_not_go_along_with_the_next(upstream: Upstream, stub: Stub) -> None:
    stub.behave = lambda connection: connection.socket.sendall(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: who=ada\r\nContent-Length: 0\r\n\r\n"
    )
    upstream.get("/things")
    upstream.get("/things")
    assert "cookie" not in stub.requests[1].headers


def test_a_get_to_a_replica_that_hangs_is_retried_while_the_first_connection_is_open(
    upstream: Upstream, stub: Stub
) -> None:
    hung_up = threading.Event()
    seen: list[bool] = []

    def stand_still(connection: Connection) -> None:
        connection.socket.settimeout(5)
        connection.socket.recv(1)  # until the client closes the connection
        hung_up.set()

    def answer(connection: Connection) -> None:
        seen.append(hung_up.is_set())  # if it is set, the gateway counts the first replica as idle
        fine(connection)

    stub.then(stand_still, answer)
    assert upstream.get("/things") == {"fine": True}
    assert seen == [False]
    assert hung_up.wait(5)


def test_a_get_with_a_timeout_of_its_own_is_given_all_of_it(upstream: Upstream, stub: Stub) -> None:
    stub.behave = Connection.hang
    with pytest.raises(UpstreamTimeout):
        upstream.get("/things", timeout=0.3)
    assert len(stub.requests) == 1


def test_timeouts_after_half_of_the_time_count_against_a_service_that_hangs(
    upstream: Upstream, stub: Stub, here: context.Context
) -> None:
    stub.behave = Connection.hang
    for _ in range(5):
        here.deadline = time.monotonic() + upstream.timeout * 0.48
        with pytest.raises(UpstreamError):
            upstream.get("/things")
    assert upstream.breaker.state != "closed"

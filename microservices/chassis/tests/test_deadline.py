"""DeadlineAdapter on an ordinary Session: the timeout holds for the whole answer, and no connection is left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from microservices.chassis import deadline
from microservices.chassis.client import Upstream
from microservices.chassis.deadline import DeadlineAdapter, timed_out_connections_kept_open
from microservices.chassis.errors import UpstreamTimeout
from microservices.chassis.tests.conftest import Behaviour, Connection, Stub

ALLOWANCE = 0.25  # seconds that an answer may outlive its deadline


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", DeadlineAdapter())
        yield session


def connections_to(stub: Stub) -> int:
    """How many sockets of this process lead to the stub."""
    port = urlsplit(stub.url).port
    return sum(
        bool(each.raddr) and each.raddr.port == port for each in psutil.Process().net_connections("tcp")
    )


def test_parameters_and_json_are_encoded_by_the_library(session: requests.Session, stub: Stub) -> None:
    session.post(stub.url, params={"q": "a b&c", "none": None}, json={"ü": 1}, timeout=1)
    (request,) = stub.requests
    assert (request.path, request.body) == ("/?q=a+b%26c", b'{"\\u00fc": 1}')


def test_an_answer_is_read_whole_and_its_connection_used_again(session: requests.Session, stub: Stub) -> None:
    stub.behave = lambda connection: connection.answer(200, {"text": "x" * 300_000})
    for _ in range(3):
        assert len(session.get(stub.url, timeout=5).json()["text"]) == 300_000
    assert stub.connections == 1


@pytest.mark.timed
@pytest.mark.parametrize(
    "behaviour",
    [
        Connection.hang,
        Connection.silent_after_the_head,
        Connection.trickle,
        Connection.trickle_in_the_head,
        Connection.trickle_on_a_connection_that_is_to_close,
    ],
)
def test_the_timeout_is_for_the_whole_answer(
    session: requests.Session, stub: Stub, behaviour: Behaviour
) -> None:
    stub.behave = behaviour
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        session.get(stub.url, timeout=0.5)
    assert time.monotonic() - started < 0.5 + ALLOWANCE


@pytest.mark.parametrize("seconds", [0, -1])
def test_nothing_is_sent_when_no_time_is_left(session: requests.Session, stub: Stub, seconds: float) -> None:
    with pytest.raises(requests.ReadTimeout, match="time was up"):
        session.get(stub.url, timeout=seconds)
    assert stub.connections == 0


def test_a_body_that_is_cut_off_is_no_answer(session: requests.Session, stub: Stub) -> None:
    stub.behave = Connection.cut_off
    with pytest.raises(requests.ConnectionError):
        session.get(stub.url, timeout=1)


def test_a_body_that_is_far_too_large_is_no_answer(
    session: requests.Session, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "MAX_BYTES", 1000)
    stub.behave = lambda connection: connection.answer(200, b"x" * 1001, "text/plain")
    with pytest.raises(requests.ConnectionError, match="too large"):
        session.get(stub.url, timeout=1)
    stub.behave = lambda connection: connection.answer(200, b"x" * 1000, "text/plain")
    assert len(session.get(stub.url, timeout=1).content) == 1000


@pytest.mark.parametrize("behaviour", [Connection.hang, Connection.trickle])
def test_an_overdue_answer_leaves_no_connection_behind(
    session: requests.Session, stub: Stub, behaviour: Behaviour
) -> None:
    stub.behave = behaviour
    for _ in range(3):
        with pytest.raises(requests.ReadTimeout):
            session.get(stub.url, timeout=0.05)
    assert connections_to(stub) == 0


def test_overdue_connections_are_kept_until_the_end_of_the_block(
    session: requests.Session, stub: Stub
) -> None:
    stub.behave = Connection.hang
    with timed_out_connections_kept_open():
        for number in range(1, 4):
            with pytest.raises(requests.ReadTimeout):
                session.get(
                    stub.url, timeout=(5, 0.05)
                )  # however long connecting takes, the answer is waited for
            assert connections_to(stub) == number
    assert connections_to(stub) == 0


def test_a_call_leaves_no_connection_behind_however_many_attempts_it_made(
    upstream: Upstream, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pause could use up the rest of the time.
    monkeypatch.setattr("microservices.chassis.client.PAUSE_SECONDS", 0.0)
    stub.behave = Connection.hang
    upstream.timeout = 0.4
    for _ in range(3):
        with pytest.raises(UpstreamTimeout):
            upstream.get("/things")
    assert len(stub.requests) > 3
    assert connections_to(stub) == 0

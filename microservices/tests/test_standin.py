"""The server that stands in for a shop: it answers, hangs and loses as its function says, and remembers what came."""

from __future__ import annotations

from threading import Event, Thread

import pytest
import requests

from microservices.chaos.standin import HANG, LOSE, Drip, StandIn


def test_an_answer_is_json_and_what_was_asked_is_remembered():
    with StandIn(lambda asked: (201, {"route": asked.route, "query": asked.query})) as stand_in:
        answer = requests.post(
            f"{stand_in.url}/a/b?c=1&c=2", data=b"sent", headers={"X-Mine": "1"}, timeout=5
        )
    assert (answer.status_code, answer.headers["Content-Type"]) == (201, "application/json")
    assert answer.json() == {"route": "/a/b", "query": {"c": "1"}}
    (asked,) = stand_in.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/a/b?c=1&c=2", b"sent")
    assert (asked.headers["x-mine"], asked.headers["X-Yours"]) == ("1", None)


def test_a_refusal_is_a_problem_and_headers_can_be_added_or_replaced():
    with StandIn(lambda _: (503, {"status": 503}, {"Retry-After": "0"})) as stand_in:
        refused = requests.get(stand_in.url, timeout=5)
    assert (refused.headers["Content-Type"], refused.headers["Retry-After"]) == (
        "application/problem+json",
        "0",
    )
    with StandIn(lambda _: (500, b"<h1>", {"Content-Type": "text/html"})) as stand_in:
        page = requests.get(stand_in.url, timeout=5)
    assert (page.headers["Content-Type"], page.text) == ("text/html", "<h1>")


def test_nothing_is_sent_for_none():
    with StandIn(lambda _: (204, None)) as stand_in:
        assert requests.delete(stand_in.url, timeout=5).content == b""


def test_a_dripping_answer_comes_byte_by_byte_until_it_is_let_go():
    with StandIn(lambda _: Drip((200, {"a": 1}), pause=3600)) as stand_in:
        answer = requests.get(stand_in.url, stream=True, timeout=5)
        assert answer.raw.read(1) == b"{"
        stand_in.forget()
        assert answer.raw.read() == b'"a": 1}'


def test_a_lost_request_is_a_lost_connection():
    with StandIn(lambda _: LOSE) as stand_in, pytest.raises(requests.ConnectionError):
        requests.get(stand_in.url, timeout=5)


@pytest.mark.parametrize("let_go", [StandIn.forget, StandIn.close])
def test_what_hangs_is_let_go(let_go):
    arrived, lost = Event(), []

    def hang(_):
        arrived.set()
        return HANG

    stand_in = StandIn(hang)

    def ask():
        try:
            requests.get(stand_in.url, timeout=20)
        except requests.ConnectionError as error:
            lost.append(error)

    thread = Thread(target=ask)
    thread.start()
    assert arrived.wait(10)
    let_go(stand_in)
    thread.join()
    stand_in.close()
    assert len(lost) == 1


def test_nobody_is_there_after_the_end():
    with StandIn(lambda _: LOSE) as stand_in:
        pass
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(stand_in.url, timeout=5)

"""What travels with a request."""

from __future__ import annotations

import threading

import pytest

from microservices.chassis import context
from microservices.chassis.context import Context

TRACEPARENT = f"00-{'1' * 32}-{'2' * 16}-00"


def test_a_well_formed_request_id_is_kept() -> None:
    assert Context.begin({"HTTP_X_REQUEST_ID": "a.b-C_9"}, 1).request_id == "a.b-C_9"


@pytest.mark.parametrize("asked", ["", "a b", "a\nb", "x" * 65, "ä", "a\n"])
def test_any_other_request_id_is_replaced(asked: str) -> None:
    made = Context.begin({"HTTP_X_REQUEST_ID": asked}, 1).request_id
    assert made != asked
    assert len(made) == 32


def test_a_call_keeps_the_trace_and_its_flags_and_gets_a_new_span() -> None:
    headers = Context.begin({"HTTP_TRACEPARENT": TRACEPARENT}, 1).headers()
    version, trace, span, flags = headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", "1" * 32, "00")
    assert len(span) == 16
    assert span != "2" * 16


@pytest.mark.parametrize(
    "broken", [None, "", "00-1-2-3", TRACEPARENT.upper() + "X", f"00-{'0' * 32}-{'2' * 16}-01"]
)
def test_without_a_usable_trace_one_begins_and_holds_for_all_calls(broken: str | None) -> None:
    here = Context.begin({} if broken is None else {"HTTP_TRACEPARENT": broken}, 1)
    first, second = (here.headers()["traceparent"] for _ in range(2))
    assert first.split("-")[1] == second.split("-")[1] != "0" * 32
    assert first != second


@pytest.mark.parametrize(
    ("asked", "seconds"), [("500", 0.5), ("60000", 2.0), ("-1", 2.0), ("x", 2.0), ("0", 0.0)]
)
def test_a_caller_can_shorten_the_deadline_but_not_extend_it(asked: str, seconds: float) -> None:
    assert Context.begin({"HTTP_X_DEADLINE_MS": asked}, 2.0).left() == pytest.approx(seconds, abs=0.1)


def test_each_thread_has_a_context_of_its_own() -> None:
    seen: list[Context | None] = []
    with context.work(1) as here:
        thread = threading.Thread(target=lambda: seen.append(context.current()))
        thread.start()
        thread.join(5)
        assert context.current() is here
    assert seen == [None]
    assert context.current() is None

"""Bodies are read before a thread of the shop is taken; connections without an answer are closed."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from microservices.chassis.bodies import KEPT_BYTES, READ_BYTES, BodiesFirst, Turns
from microservices.chassis.unanswered import close_unanswered

ROOT = Path(__file__).resolve().parents[3]


def ignored(*_: object) -> Any:
    """The `start_response` of a server that nobody asks."""


def app(environ, _start_response):
    return [environ["wsgi.input"].read()]


def body_seen(body: bytes, **environ: str) -> bytes:
    """What the application reads when the client sends `body`."""
    return b"".join(BodiesFirst(app, 1)({"wsgi.input": BytesIO(body), **environ}, ignored))


@pytest.mark.parametrize("name", ["bodies.py", "unanswered.py", "server.py"])
def test_both_shops_are_served_alike(name: str) -> None:
    assert (ROOT / "monolith" / "chassis" / name).read_text() == (
        ROOT / "microservices" / "chassis" / name
    ).read_text()


def test_the_application_gets_the_body_that_was_sent() -> None:
    assert body_seen(b"a=1", CONTENT_LENGTH="3") == b"a=1"


def test_a_body_in_chunks_is_not_waited_for_because_the_shop_refuses_it() -> None:
    assert body_seen(b"a=1", HTTP_TRANSFER_ENCODING="chunked") == b""


def test_a_body_that_ended_too_early_counts_as_empty() -> None:
    assert body_seen(b"quantity=1", CONTENT_LENGTH="11") == b""


def test_a_body_that_is_too_large_is_read_to_a_limit_and_kept_so_far_that_it_can_be_refused() -> None:
    source = BytesIO(b"x" * (2 * READ_BYTES))
    environ = {"wsgi.input": source, "CONTENT_LENGTH": str(2 * READ_BYTES)}
    kept = b"".join(BodiesFirst(app, 1)(environ, ignored))
    assert len(kept) == KEPT_BYTES
    assert READ_BYTES <= source.tell() < READ_BYTES + KEPT_BYTES


def test_a_body_that_does_not_come_leaves_the_turns_to_others() -> None:
    class Stalled:
        def read(self, _size: int) -> bytes:
            reading.set()
            end.wait(20)
            return b""

    reading, end = threading.Event(), threading.Event()
    served = BodiesFirst(app, 1)
    stalled = {"wsgi.input": Stalled(), "CONTENT_LENGTH": "50"}
    thread = threading.Thread(target=served, args=(stalled, ignored))
    thread.start()
    assert reading.wait(20)
    assert served({"wsgi.input": BytesIO(b"")}, ignored) == [b""]
    assert served.longest_read() > 0
    end.set()
    thread.join()
    assert served.longest_read() == 0


def test_those_who_wait_for_a_turn_get_it_in_their_order() -> None:
    turns = Turns(1)
    order: list[int] = []

    def enter(number: int) -> None:
        with turns:
            order.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(5)]
    with turns:
        for number, thread in enumerate(threads, 1):
            thread.start()
            deadline = time.monotonic() + 20
            while len(turns._waiting) < number and time.monotonic() < deadline:
                pass
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when something was last sent")
def test_only_a_connection_on_which_nothing_was_sent_is_closed(listener: socket.socket) -> None:
    address = listener.getsockname()
    with (
        closing(socket.create_connection(address)) as silent,
        closing(listener.accept()[0]),
        closing(socket.create_connection(address)) as answered,
        closing(listener.accept()[0]) as answering,
    ):
        silent.setblocking(False)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answering.sendall(b"x")
            close_unanswered(address[1], 0.2)
            try:
                assert silent.recv(1) == b""
                break
            except BlockingIOError:
                continue
        else:
            pytest.fail("the silent connection was not closed")
        assert answered.recv(1) == b"x"
        answering.sendall(b"y")
        assert listener.fileno() > 0
        socket.create_connection(address).close()

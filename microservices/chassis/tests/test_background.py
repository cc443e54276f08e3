"""Loops beside the requests."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask, current_app

from microservices.chassis import context
from microservices.chassis.app import service
from microservices.chassis.background import Loop, add_loop, start_loops
from microservices.chassis.errors import UpstreamUnavailable


def until(done: threading.Event, step: Callable[[], bool], pause: float = 0.001) -> None:
    """Run a loop in a thread of its own until `done`, then stop it."""
    loop = Loop(service("looping", {}), "test loop", step, pause)
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert done.wait(10)
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_a_step_runs_inside_the_application_with_a_context_of_its_own() -> None:
    done, seen = threading.Event(), []

    def step() -> bool:
        here = context.current()
        assert here is not None
        seen.append((current_app.name, here.request_id))
        if len(seen) == 2:
            done.set()
        return False

    until(done, step)
    assert {name for name, _ in seen} == {"looping"}
    assert len({request_id for _, request_id in seen}) == len(seen)


@pytest.mark.parametrize("error", [UpstreamUnavailable("down"), ZeroDivisionError("ours")])
def test_a_loop_outlives_errors(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    done, turns = threading.Event(), []

    def step() -> bool:
        turns.append(1)
        if len(turns) < 3:
            raise error
        done.set()
        return False

    until(done, step)
    assert [record.getMessage() for record in caplog.records] == [f"test loop: {error}"] * 2


def test_a_step_that_found_much_is_followed_at_once() -> None:
    done, turns = threading.Event(), []

    def step() -> bool:
        turns.append(1)
        if len(turns) == 3:
            done.set()
        return True

    until(done, step, pause=3600)


def test_loops_run_only_where_they_are_started() -> None:
    app: Flask = service("looping", {})
    done = threading.Event()

    def step() -> bool:
        done.set()
        return False

    loop = add_loop(app, "test loop", step, 0.001)
    assert not done.is_set()
    start_loops(app)
    assert done.wait(10)
    loop.stop()

"""What is shown of a trial while it runs."""

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtests.load import moments
from loadtests.load.moments import Moment, append, last, moment
from loadtests.rig.live import ProgressDisplay, replicas_recorder, status_line

STUB = Path(__file__).with_name("stub_shop.py")
NOW = Moment(12.0, "spike", 118.0, 43.2, 2, 5, 7)


def row(intended: float, took: float, *, ok: int = 1, started: bool = True) -> tuple[Any, ...]:
    start, end = (intended, intended + took) if started else ("", "")
    return (intended, start, end, 0, "searcher", "GET /search", 200, ok, 10)


def test_a_moment_covers_the_last_seconds_only() -> None:
    old = [row(n / 10, 9.0) for n in range(10)]
    new = [row(20 + n / 100, 0.02) for n in range(490)]
    now = moment([*old, *new, row(24.0, 1.0, ok=0), row(24.1, 0, started=False)], 25.0, "quiet", 3)
    assert now == Moment(25.0, "quiet", 98.0, 20.0, 1, 1, 3)


def test_at_a_high_rate_fewer_seconds_are_looked_at_and_the_rate_is_still_right() -> None:
    rows = [row(n / 2000, 0.001) for n in range(20_000)]
    assert moment(rows, 10.0, "quiet", 1).rate == pytest.approx(2000, rel=0.01)


def test_each_persona_has_what_it_suffers() -> None:
    buyer = (24.5, 24.5, 24.6, 0, "buyer", "POST /api/orders", 503, 0, 10)
    now = moment([row(24.0, 0.02), row(24.1, 0, started=False), buyer, row(1.0, 9.0)], 25.0, "quiet", 0)
    assert now.personas == {"buyer": (None, 1), "searcher": (20.0, 1)}


def test_before_the_first_answer_there_is_no_latency() -> None:
    now = moment([row(0.5, 0, started=False)], 1.0, "quiet", 9)
    assert (now.rate, now.p95_ms, now.not_started) == (0.0, None, 1)
    assert "no answer" in str(now)


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    assert last(tmp_path) is None
    append(tmp_path, NOW)
    with (tmp_path / moments.MOMENTS).open("a") as file:
        file.write('{"at": 13.0, "pha')
    assert last(tmp_path) == NOW


def test_the_newest_of_many_lines_is_read(tmp_path: Path) -> None:
    for second in range(200):
        append(tmp_path, Moment(float(second), "quiet", 1.0, None, 0, 0, 0))
    found = last(tmp_path)
    assert found is not None
    assert found.at == 199


def test_a_folder_that_cannot_be_written_does_not_end_the_trial(tmp_path: Path) -> None:
    append(tmp_path / "gone", NOW)
    replicas_recorder(tmp_path / "gone")(["monolith-1"])
    assert status_line({tmp_path / "gone": "monolith"}) == ""


def test_replicas_are_counted_without_gateway_generator_and_machine(tmp_path: Path) -> None:
    append(tmp_path, NOW)
    record = replicas_recorder(tmp_path)
    record(["recommendations-1", "cart-1", "gateway", "generator"])
    assert status_line({tmp_path: "split"}).endswith(
        "118 answers/s, p95 43 ms, 2 failed, 5 not started, 7 under way, 2 replicas"
    )
    record(["cart-1", "gateway", "generator"])
    assert status_line({tmp_path: "split"}).endswith(", 1 replica")


def test_of_shops_that_take_turns_the_one_under_load_is_shown(tmp_path: Path) -> None:
    for name, phase in (("first", "others"), ("second", "overload")):
        (tmp_path / name).mkdir()
        append(tmp_path / name, Moment(12.0, phase, 118.0, 43.0, 0, 0, 7))
    shown = status_line({tmp_path / "first": "monolith × 1", tmp_path / "second": "monolith × 4"})  # noqa: RUF001
    assert shown.startswith("monolith × 4, overload 12 s: 118 answers/s")  # noqa: RUF001


def test_a_turn_is_not_mixed_with_the_pause_before_it() -> None:
    rows = [(at, at, at + 0.02, 0, "searcher", "GET /search", 200, 1, 10) for at in (1.0, 1.5, 8.0, 8.25)]
    assert moment(rows, 8.5, "overload", 0, began=8.0).rate == 4.0


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_and_lines_are_shown_on_a_terminal_and_in_a_pipe(*, terminal: bool, tmp_path: Path) -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=100, force_terminal=terminal, color_system=None)
    append(tmp_path, NOW)
    with ProgressDisplay(console, every=0.0) as display:
        display.step("trial 1 of 2: monolith, repeat 1 (about 20 s left)", {tmp_path: "monolith"})
        wait_for(lambda: "p95 43 ms" in shown.getvalue())
        display.step("trial 2 of 2: [split], repeat 1 (about 10 s left)", {})
    text = shown.getvalue()
    assert "trial 1 of 2: monolith" in text
    if not terminal:
        assert "\x1b" not in text
        assert text.splitlines()[-1] == "trial 2 of 2: [split], repeat 1 (about 10 s left)"
    assert threading.active_count() == 1 or not any(t.name == "progress" for t in threading.enumerate())


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        threading.Event().wait(0.02)


@pytest.mark.processes
def test_the_generator_writes_a_line_every_second(tmp_path: Path) -> None:
    shop = subprocess.Popen([sys.executable, str(STUB)], stdout=subprocess.PIPE, text=True)
    assert shop.stdout is not None
    spec = {
        "seed": "1:0",
        "out": str(tmp_path / "requests.csv.gz"),
        "controlled": True,
        "phases": [{"name": "toy/quiet", "seconds": 2.5, "rates": {"searcher": 20}}],
        "users": {"searcher": 4},
    }
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec))
    command = [sys.executable, "-m", "loadtests.load.generate", str(file)]
    generator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert generator.stdin is not None
    assert generator.stdout is not None
    try:
        print(f"prepare {shop.stdout.readline().strip()}", file=generator.stdin, flush=True)
        assert generator.stdout.readline() == "ready\n"
        print(f"start {time.time() + 0.2}", file=generator.stdin, flush=True)
        assert generator.wait(timeout=60) == 0
    finally:
        for process in (generator, shop):
            process.kill()
            process.communicate()
    lines = [Moment(**json.loads(line)) for line in (tmp_path / moments.MOMENTS).read_text().splitlines()]
    assert lines
    assert sorted({line.at for line in lines}) == [line.at for line in lines]
    assert {line.phase for line in lines} == {"quiet"}
    assert lines[-1].rate > 0

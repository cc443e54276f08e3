"""The chaos command: its plan, its clients, its result, and a short run of the whole."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from microservices.chaos import client as clients
from microservices.chaos import command, run
from microservices.chaos.bad_client import STALLED, BadClient, requests
from microservices.chaos.client import Attempt, Client, Customer, History, InconclusiveRun, Outcome
from microservices.chaos.faults import all_faults
from microservices.chaos.invariants import retries_agree
from microservices.chaos.plan import TIMED, plan
from microservices.chaos.report import FaultResult, Result
from microservices.chaos.snapshot import ObservedCheckout
from microservices.chaos.standin import LOSE, Answer, StandIn
from microservices.launcher import LauncherError
from microservices.tests.conftest import environments, wait_until

ORDER = {"id": "o1", "total_cents": 500}
FAULT = FaultResult("orders killed", 1.0, 0.1, "the launcher", "orders-1 died", 2.5, 100, 7, 90, 1)
CLEAN = Result(
    7,
    0.5,
    "SQLite",
    faults=[FAULT, replace(FAULT, recovered=None), replace(FAULT, noticed=None)],
    outcomes={"buyer": {"ok": 1234, "refused": 5}},
    statuses={"200": 2000, "503": 4},
    invariants={name: [] for name in ("I1", "I2", "I3", "I4", "I5", "I6")},
)


def test_the_same_seed_gives_the_same_plan_and_another_seed_a_different_one():
    assert list(islice(plan(1), 200)) == list(islice(plan(1), 200))
    assert list(islice(plan(1), 20)) != list(islice(plan(2), 20))


def test_each_round_of_the_plan_has_every_fault_once_with_a_length_where_it_needs_one():
    faults = all_faults()
    planned = list(islice(plan(3), 2 * len(faults)))
    for half in (planned[: len(faults)], planned[len(faults) :]):
        assert {(fault.kind, fault.target) for fault in half} == {
            (fault.kind, fault.target) for fault in faults
        }
    assert all((fault.seconds > 0) == (fault.kind in TIMED) for fault in planned)
    assert len({str(fault) for fault in faults}) == len(faults)


def test_a_plan_can_have_one_kind_of_fault_only():
    assert {fault.kind for fault in islice(plan(1, "bad client"), 5)} == {"bad client"}
    assert replace(CLEAN, only="bad client").repeat.endswith("--minutes 0.5 --only 'bad client'")


def test_a_kind_of_fault_that_does_not_exist_is_refused(capsys):
    assert command.main(7, 0.5, None, as_json=False, only="locusts") == 2
    assert "There is no kind of fault 'locusts'; choose one of: kill, pause," in capsys.readouterr().err


def test_a_bad_client_makes_every_mistake_and_lets_go_of_its_connections():
    with StandIn(lambda _: (200, {})) as shop, BadClient(shop.port) as client:
        wait_until(lambda: {name for name, _ in requests()} | set(STALLED) <= set(client.sent), 60.0)


@pytest.fixture
def shop(monkeypatch):
    """Stand-ins for a shop that give these answers one after the other, and then repeat the last one."""
    monkeypatch.setattr(clients, "PAUSE_SECONDS", 0.0)
    with ExitStack() as stack:

        def shop(*answers):
            waiting = list(answers)

            def respond(asked):
                if asked.path in {"/api/customers", "/api/sessions"}:
                    return 201, {"id": "C1", "token": "t"}
                return waiting.pop(0) if len(waiting) > 1 else waiting[0]

            return stack.enter_context(StandIn(respond))

        yield shop


def problem(status, slug, **headers):
    named = {name.replace("_", "-"): value for name, value in {"Retry_After": "0", **headers}.items()}
    return status, {"type": f"/problems/{slug}", "status": status}, named


GONE = problem(503, "unavailable")
REPLAYED = problem(503, "unavailable", Idempotency_Replayed="true")
CANCELLED: Answer = 503, {"type": "/problems/unavailable", "status": 503, "final": True}
FOUND: Answer = 200, {"items": []}
BOUGHT: Answer = 201, ORDER


@pytest.mark.parametrize(
    ("answers", "outcome", "asked"),
    [
        ([FOUND], Outcome.OK, 1),
        ([GONE, LOSE, FOUND], Outcome.OK, 3),
        ([GONE], Outcome.FAILED, 5),
        ([LOSE], Outcome.FAILED, 5),
        ([problem(500, "internal-error")], Outcome.FAILED, 1),
        ([problem(404, "not-found")], Outcome.FAILED, 1),
    ],
)
def test_a_request_has_failed_when_it_fails_after_the_documented_retries(shop, answers, outcome, asked):
    here, history = shop(*answers), History()
    client = Client(here.port, history, "browser")
    client.ask("GET", "/")
    client.close()
    assert (history.outcomes, len(here.asked)) == ({("browser", outcome): 1}, asked)


@pytest.mark.parametrize(
    ("answers", "observed"),
    [
        ([BOUGHT], [(201, True)]),
        ([LOSE, GONE, BOUGHT], [(None, False), (None, False), (201, True)]),
        ([GONE, REPLAYED], [(None, False), (503, True)]),
        ([CANCELLED], [(503, True)]),
        ([problem(409, "checkout-in-progress")] * 9 + [BOUGHT], [(None, False)] * 9 + [(201, True)]),
        ([problem(402, "payment-declined")], [(402, True)]),
        ([GONE], [(None, False)] * 5),
    ],
)
def test_a_checkout_is_retried_with_its_key_until_an_answer_is_final(shop, answers, observed):
    here, history = shop(*answers), History()
    customer = Customer(here.port, history, "buyer", "ada")
    customer.check_out("key-1", "4242")
    customer.close()
    assert [(one.status, one.final) for one in history.checkouts] == observed
    assert {asked.headers["Idempotency-Key"] for asked in here.asked if asked.route == "/api/orders"} == {
        "key-1"
    }
    assert customer.unresolved == ([] if observed[-1][1] else [("key-1", "4242")])


def test_an_unresolved_checkout_is_retried_once_the_shop_is_healthy(shop):
    here, history = shop(GONE), History()
    customer = Customer(here.port, history, "buyer", "ada")
    customer.check_out("key-1", "4242")
    here.respond = lambda _: BOUGHT
    customer.resolve(time.monotonic() + 5)
    customer.close()
    assert history.checkouts[-1] == ObservedCheckout("C1", "key-1", 201, ORDER, final=True)
    assert customer.unresolved == []


def test_a_silent_provider_and_a_replayed_refusal_are_no_failures_of_the_shop(shop):
    here, history = shop(problem(504, "payment-timed-out"), REPLAYED, GONE), History()
    client = Client(here.port, history, "buyer")
    for _ in range(3):
        client.send("POST", "/api/orders", {})
    client.close()
    assert [attempt.failed for attempt in history.attempts] == [False, False, True]


def test_since_returns_only_attempts_that_ended_later():
    history = History([Attempt("GET /", began, 1.0, 200, failed=False) for began in (1.0, 2.0, 3.0)])
    assert [attempt.began for attempt in history.since(3.0)] == [2.0, 3.0]


def checkout(status, order=None, *, final=True):
    return ObservedCheckout("C1", "k", status, order, final=final)


@pytest.mark.parametrize(
    ("checkouts", "violations"),
    [
        ([checkout(None, final=False), checkout(201, ORDER)], 0),
        ([checkout(503), checkout(503)], 0),
        ([checkout(None, final=False)], 1),
        ([checkout(503), checkout(201, ORDER)], 1),
        ([checkout(201, {"id": "o2"}), checkout(201, ORDER)], 1),
    ],
)
def test_a_key_needs_exactly_one_outcome(checkouts, violations):
    assert len(list(retries_agree(checkouts))) == violations


def test_the_report_has_the_faults_their_effects_and_the_command_that_repeats_them():
    text = "\n".join([*(fault.line() for fault in CLEAN.faults), *CLEAN.lines()])
    assert "orders killed" in text
    assert "noticed  0.1 s (the launcher)" in text
    assert "NOT RECOVERED" in text
    assert "not noticed" in text
    assert "1,234" in text
    assert text.count("holds") == 8  # six invariants, no 500, and nobody harmed by a bad client
    assert "microservices chaos --seed 7 --minutes 0.5" in text


BROKEN = replace(CLEAN, invariants={**CLEAN.invariants, "I2": ["Order o1 costs 5."] * 9}, kept="here")


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (CLEAN, 0, "All invariants hold"),
        (BROKEN, 1, "BROKEN 9 times"),
        (replace(CLEAN, statuses={"500": 1}, kept="here"), 1, "BROKEN 1 times"),
        (replace(CLEAN, faults=[replace(FAULT, is_harmless=True)], kept="here"), 1, "BROKEN 7 times"),
        (InconclusiveRun("No customer bought anything."), 2, "No customer bought anything."),
        (LauncherError("Port 1 is taken."), 2, "Port 1 is taken."),
        (ZeroDivisionError("oops"), 2, "The chaos command failed"),
        (KeyboardInterrupt(), 130, "Interrupted before anything was checked"),
    ],
)
def test_the_exit_status_distinguishes_a_broken_shop_from_a_broken_tool(
    monkeypatch, capsys, outcome, status, words
):
    def end(_options, _say):
        if isinstance(outcome, Result):
            return outcome
        raise outcome

    monkeypatch.setattr(command, "run", end)
    assert command.main(7, 0.5, None, as_json=False) == status
    said = capsys.readouterr()
    assert words in said.out + said.err


def test_the_text_has_a_few_violations_and_the_json_all(monkeypatch, capsys):
    monkeypatch.setattr(command, "run", lambda _options, _say: BROKEN)
    assert command.main(7, 0.5, None, as_json=True) == 1
    said = capsys.readouterr()
    assert said.err.count("Order o1 costs 5.") == 5
    document = json.loads(said.out)
    assert len(document["invariants"]["I2"]) == 9
    assert (document["clean"], document["repeat"]) == (False, "microservices chaos --seed 7 --minutes 0.5")


def test_a_database_url_that_is_not_for_postgresql_is_refused(capsys):
    assert command.main(7, 0.5, "sqlite:///shop.sqlite3", as_json=False) == 2
    assert "leave the option out to use SQLite files" in capsys.readouterr().err


@pytest.fixture
def chaos(tmp_path):
    """The command with a new home folder."""
    arguments = [
        sys.executable,
        "-m",
        "microservices.cli",
        "chaos",
        "--seed",
        "5",
        "--minutes",
        "0.05",
        "--json",
    ]
    env = {**os.environ, "SHOP_HOME": str(tmp_path)}
    with subprocess.Popen(
        arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _pids_below(home):
    return [pid for pid, env in environments() if env.get("SHOP_HOME", "").startswith(f"{home}/chaos")]


@pytest.mark.processes
@pytest.mark.full
def test_a_short_run_injects_faults_finds_no_violation_and_leaves_nothing(chaos, tmp_path):
    out, err = chaos.communicate(timeout=150)
    assert chaos.returncode == 0, err
    result = json.loads(out)
    assert result["faults"]
    assert result["outcomes"]["buyer"]["ok"] > 0
    assert result["invariants"] == {name: [] for name in ("I1", "I2", "I3", "I4", "I5", "I6")}
    assert _pids_below(tmp_path) == []
    assert list(tmp_path.glob("chaos/*")) == []


@pytest.mark.processes
@pytest.mark.full
def test_ctrl_c_ends_a_run_at_once_and_leaves_nothing(chaos, tmp_path):
    while "The load runs" not in (line := chaos.stderr.readline()):
        assert line, "the run ended before it began"
    assert _pids_below(tmp_path)
    chaos.send_signal(signal.SIGINT)
    _, err = chaos.communicate(timeout=150)
    assert chaos.returncode == 130
    assert "Interrupted before anything was checked. The shop is closed." in err
    assert _pids_below(tmp_path) == []
    assert list(tmp_path.glob("chaos/*")) == []


@pytest.mark.processes
@pytest.mark.full
def test_money_that_goes_missing_during_a_run_is_found(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SHOP_HOME", str(tmp_path))
    settle = run.ChaosRun.settle

    def steal_and_settle(chaos):
        chaos.load.stop()
        (payments,) = tmp_path.glob("chaos/*/data/payments.sqlite3")
        with closing(sqlite3.connect(payments)) as db, db:
            db.execute(
                "UPDATE payments SET refunded_cents = captured_cents WHERE order_id IN "
                "(SELECT order_id FROM payments WHERE refunded_cents < captured_cents LIMIT 1)"
            )
        monkeypatch.setattr(run, "SETTLE_SECONDS", 1.0)
        return settle(chaos)

    monkeypatch.setattr(run.ChaosRun, "settle", steal_and_settle)
    assert command.main(6, 0.05, None, as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert {name for name, sentences in found["invariants"].items() if sentences} == {"I2"}
    assert list(Path(found["kept"]).glob("data/*.sqlite3"))

"""The circuit breaker and the budget for repeats."""

from __future__ import annotations

import threading

import pytest

from microservices.chassis.breaker import PROBE_LEASE, Breaker, RetryBudget


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("service", in_a_row=3, window=10, rest=1.0, clock=clock)


def ticket(breaker: Breaker) -> int:
    admitted = breaker.admit()
    assert admitted is not None
    return admitted


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(ticket(breaker))


def test_it_stays_closed_while_successes_come_between_failures(breaker: Breaker) -> None:
    for _ in range(20):
        fail(breaker, 1)
        breaker.succeeded(ticket(breaker))
        breaker.succeeded(ticket(breaker))
    assert breaker.state == "closed"


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"
    assert breaker.admit() is None


def test_it_opens_when_half_of_the_last_calls_failed(breaker: Breaker) -> None:
    for _ in range(5):
        breaker.succeeded(ticket(breaker))
        fail(breaker, 1)
    assert breaker.state == "open"


def test_it_admits_exactly_one_probe_when_many_ask_at_once(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.state == "half-open"
    admitted: list[int | None] = []
    start = threading.Barrier(20)

    def ask() -> None:
        start.wait(5)
        admitted.append(breaker.admit())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len([one for one in admitted if one is not None]) == 1


def test_a_good_probe_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.succeeded(ticket(breaker))
    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed"  # it counts from the beginning


def test_a_bad_probe_opens_it_for_another_rest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    fail(breaker, 1)
    clock.now += 0.9
    assert breaker.admit() is None
    clock.now += 0.1
    assert breaker.admit() is not None


def test_outcomes_of_calls_from_before_it_opened_are_ignored(breaker: Breaker, clock: Clock) -> None:
    slow = ticket(breaker)
    fail(breaker, 3)
    breaker.succeeded(slow)
    assert breaker.state == "open"
    clock.now += 1.0
    probe = ticket(breaker)
    breaker.failed(slow)
    breaker.succeeded(probe)
    assert breaker.state == "closed"


def test_after_an_undecided_probe_the_next_call_is_the_probe(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.undecided(ticket(breaker))
    assert breaker.admit() is not None


def test_a_probe_that_never_reports_does_not_keep_it_open_for_ever(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.admit() is not None
    clock.now += PROBE_LEASE - 0.1
    assert breaker.admit() is None
    clock.now += 0.1
    assert breaker.admit() is not None


def test_a_tenth_of_the_calls_may_be_repeated() -> None:
    budget = RetryBudget(share=0.1)
    spent = 0
    for _ in range(1000):
        budget.earn()
        spent += budget.spend()
    assert 99 <= spent <= 101


def test_the_retry_budget_has_an_upper_bound() -> None:
    budget = RetryBudget(share=0.1, most=10)
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10

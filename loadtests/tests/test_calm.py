"""The lab waits until a machine is calm, but not without end; the machine is simulated."""

import pytest

from loadtests.running.calm import MAX_WAIT_SECONDS, WINDOW_SECONDS, WaitBudget, disturbance

CALM, STOLEN, BUSY = (0.02, 0.0), (0.02, 0.3), (0.6, 0.0)


def machine(*windows: tuple[float, float]):
    """A machine with these shares (others, hypervisor) in its windows; the last one repeats."""
    left = list(windows)
    return lambda _seconds: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("window", "reason"),
    [(CALM, ""), (STOLEN, "a hypervisor takes 30% of it"), (BUSY, "other programs use 60% of it")],
)
def test_a_disturbance_is_named(window, reason):
    assert disturbance(*window) == reason


def test_the_wait_ends_when_the_machine_is_calm():
    budget = WaitBudget(100.0, machine(BUSY, STOLEN, CALM, BUSY))
    assert budget.disturbance()
    budget.wait()
    assert budget.waited == 2 * WINDOW_SECONDS
    assert budget.left == 100.0 - budget.waited


def test_a_machine_that_is_never_calm_delays_a_trial_for_a_limited_time():
    budget = WaitBudget(100.0, machine(STOLEN))
    budget.wait()
    assert budget.waited == MAX_WAIT_SECONDS


def test_a_run_that_has_used_up_its_budget_waits_no_more():
    budget = WaitBudget(2.0, machine(BUSY))
    budget.wait()
    assert (budget.left, budget.disturbance()) == (0.0, "")

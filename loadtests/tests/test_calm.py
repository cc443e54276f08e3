"""The lab waits for a calm machine, but not for ever; the machine is made up."""

import pytest

from loadtests.running.calm import LONGEST_SECONDS, WINDOW_SECONDS, Patience, disturbance

CALM, STOLEN, BUSY = (0.02, 0.0), (0.02, 0.3), (0.6, 0.0)


def machine(*windows: tuple[float, float]):
    """A machine that is so in one window after the other, and stays as it was in the last."""
    left = list(windows)
    return lambda _seconds: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("window", "said"),
    [(CALM, ""), (STOLEN, "a hypervisor takes 30% of it"), (BUSY, "other programs use 60% of it")],
)
def test_it_is_said_what_disturbs_the_machine(window, said):
    assert disturbance(*window) == said


def test_the_wait_ends_when_the_machine_is_calm():
    patience = Patience(100.0, machine(BUSY, STOLEN, CALM, BUSY))
    assert patience.disturbance()
    patience.wait()
    assert patience.waited == 2 * WINDOW_SECONDS
    assert patience.left == 100.0 - patience.waited


def test_a_machine_that_is_never_calm_holds_a_trial_up_for_a_while_only():
    patience = Patience(100.0, machine(STOLEN))
    patience.wait()
    assert patience.waited == LONGEST_SECONDS


def test_when_the_patience_of_a_run_is_used_up_nobody_looks_any_more():
    patience = Patience(2.0, machine(BUSY))
    patience.wait()
    assert (patience.left, patience.disturbance()) == (0.0, "")

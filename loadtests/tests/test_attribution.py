"""What stands beside a verdict: where the CPU went, and how latency went over time."""

from typing import Any

import pytest

from loadtests.analysis.raw import Usage
from loadtests.analysis.records import MACHINE_STOLEN
from loadtests.analysis.results import analyse
from loadtests.report import ledger
from loadtests.report.over_time import draw_over_time
from loadtests.report.page import html
from loadtests.tests.made_up import MACHINE, NOTES, request, steady, three_repeats, toy, trial


def measured(*trials: Any) -> dict[str, Any]:
    return analyse(MACHINE, [toy()], trials)


def held(name: str, stopped: float, waited: float) -> dict[str, Usage]:
    counts = {
        "throttled_periods": [0.0, 10.0, 110.0],
        "throttled_seconds": [0.0, stopped, 11 * stopped],
        "pressure_seconds": [0.0, waited, 11 * waited],
    }
    return {name: Usage([0.0, 1.0, 11.0], [0.0, 0.45, 4.95], [1] * 3, counts)}


def test_each_verdict_says_which_process_was_busiest_and_what_the_gateway_and_the_slice_did() -> None:
    results = measured(
        trial("monolith", usage=held("monolith-1", 0.2, 0.1)), trial("microservices", cores=0.15)
    )
    row = next(each for each in ledger.ledger(results, [toy()]) if each.claim == "Latency")
    split, monolith = row.behind
    assert split == (
        "microservices by 2, quiet: the busiest process was recommendations-1 with 0.15 of its 0.5 cores; "
        "the gateway used 25% of the shop's CPU."
    )
    assert monolith == (
        "monolith, quiet: the busiest process was monolith-1 with 0.45 of its 0.5 cores; the gateway used 10% of "
        "the shop's CPU; its slice stopped monolith-1 for 0.20 s in each second, in 10 periods; monolith-1 waited for "
        "CPU for 0.10 s in each second."
    )
    assert split.replace("'", "&#39;") in html(results, [toy()], NOTES)


def test_latency_over_time_is_that_of_the_first_valid_trial_of_each_system() -> None:
    slow_start = [request(1.05 + n / 10, 200.0 if n < 30 else 20.0) for n in range(99)]
    void = trial("microservices", 1, usage={MACHINE_STOLEN: steady(0.2, 0)})
    results = measured(void, trial("microservices", 2, requests=slow_start), *three_repeats())
    one, two = results["experiments"][0]["timelines"]
    assert (one["id"], two["id"]) == ("one", "two")
    assert (one["repeat"], two["repeat"]) == (1, 2)
    assert two["phases"] == [{"name": "quiet", "begin": 0.0, "end": 10.0}]
    assert two["seconds"] == [float(second) for second in range(10)]
    assert two["p50_ms"][:3] == pytest.approx([200.0] * 3)
    assert two["p50_ms"][3:] == pytest.approx([20.0] * 7)


def test_a_visit_that_did_not_start_waited_the_timeout() -> None:
    lost = [request(1.05 + n / 10, 0.0, start=None, end=float("nan"), status=0, ok=False) for n in range(99)]
    (one,) = measured(trial("monolith", requests=lost))["experiments"][0]["timelines"]
    assert set(one["p50_ms"]) == {10_000.0}


def test_the_chart_over_time_names_every_system_in_words() -> None:
    results = measured(*three_repeats())
    drawn = draw_over_time(results["experiments"][0]["timelines"], toy())
    assert "monolith, repeat 1" in drawn
    assert "microservices by 2, repeat 1" in drawn
    assert "highest median" in drawn
    assert "Latency over time, all requests: one trial of each system" in html(results, [toy()], NOTES)

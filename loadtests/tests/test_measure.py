"""The numbers of a phase, and the reasons to void it."""

import math
from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.measure import measure
from loadtests.analysis.numbers import Number
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import RawTrial, Request
from loadtests.analysis.records import MACHINE_BUSY, MACHINE_STOLEN
from loadtests.analysis.routes import SHARES, bounded
from loadtests.planning.phases import PlannedAction
from loadtests.tests.made_up import request, steady, trial


def only(raw: RawTrial) -> PhaseResult:
    (result,) = measure(raw)
    return result


def with_phase(raw: RawTrial, **changes: object) -> RawTrial:
    raw.phases[1] = replace(raw.phases[1], **changes)  # type: ignore[arg-type]
    return raw


def test_a_quiet_trial_has_numbers_and_no_doubts() -> None:
    result = only(trial(latency_ms=20, cores=0.2))
    assert result.doubts == []
    assert result.metrics["GET /search"] == result.metrics["all"]
    assert result.metrics["all"] == {
        "asked_rps": 9.9,
        "achieved_rps": 9.9,
        "errors": 0,
        "p50_ms": 20.0,
        "p95_ms": 20.0,
        "p99_ms": 20.0,
        "count": 99,
        "not_started": 0,
        "cut": 0,
        "succeeded": 99,
        "in_time": 99,
        "maybe_in_time": 0,
        "highest": {},
    }


def test_cpu_per_request_adds_replicas_and_gateway_but_not_the_generator() -> None:
    result = only(trial(cores=0.2))
    assert result.cpu_us_per_request == pytest.approx((0.2 + 0.05) * 10 / 99 * 1e6)
    assert result.uss_bytes == 2 * 50 * 2**20


def test_the_warm_up_does_not_count() -> None:
    slow = [request(n / 10, 900, phase=0) for n in range(10)]
    result = only(trial(requests=slow + [request(1.05 + n / 10, 20) for n in range(99)]))
    assert result.metrics["all"]["p99_ms"] == pytest.approx(20)


def test_latency_counts_from_the_intended_start() -> None:
    late = [request(1.05 + n / 10, 500, start=1.05 + n / 10 + 0.4) for n in range(99)]
    assert only(trial(requests=late)).metrics["all"]["p50_ms"] == pytest.approx(500)


def test_in_an_overload_the_responses_within_the_phase_count() -> None:
    quick = [request(1.0 + n / 100, 20) for n in range(900)]
    dropped = [request(5.0, math.nan, start=None, status=0, ok=False) for _ in range(100)]
    early = [request(0.5, 600, phase=0)]
    after = [request(10.9, 600)]
    result = only(with_phase(trial(requests=quick + dropped + early + after), overload=True))
    assert result.metrics["all"]["achieved_rps"] == pytest.approx(90.0, abs=0.2)
    assert result.value("throughput_rps", "all") == pytest.approx(90.1, abs=0.2)
    assert result.metrics["all"]["asked_rps"] == pytest.approx(100.1)
    assert result.doubts == []


def test_a_visit_that_was_not_started_counts_as_the_whole_timeout_behind_all_successes() -> None:
    served = [request(1.0 + n / 100, 20 + n / 10) for n in range(90)]
    dropped = [request(5.0, math.nan, start=None, status=0, ok=False) for _ in range(10)]
    result = only(with_phase(trial(requests=served + dropped), overload=True))
    measured = result.metrics["all"]
    assert (measured["count"], measured["errors"], measured["not_started"]) == (90, 0, 10)
    assert measured["p50_ms"] == pytest.approx(20 + 4.95)
    assert measured["p95_ms"] == measured["p99_ms"] == 10_000
    assert result.number("p50_ms", "all") == Number.exact(20 + 4.95)
    assert result.number("p95_ms", "all") == Number.at_least(10_000)


def test_a_fast_error_does_not_make_a_shop_look_fast() -> None:
    refused = [request(1.0 + n / 100, 1, status=503, ok=n % 4 > 0) for n in range(100)]
    result = only(with_phase(trial(requests=refused), overload=True))
    assert result.metrics["all"]["p50_ms"] == 1
    assert result.number("p95_ms", "all") == Number.at_least(10_000)


def test_one_failure_in_a_thousand_does_not_change_the_percentiles() -> None:
    result = only(trial(requests=[request(1 + n / 100, 20, ok=n > 0) for n in range(990)]))
    assert result.number("p99_ms", "all") == Number.exact(20)


def test_a_success_slower_than_the_timeout_ranks_before_a_failure() -> None:
    slow = [request(1.0, 12_000), request(1.1, 5, ok=False, status=500)]
    measured = only(with_phase(trial(requests=slow), overload=True)).metrics["all"]
    assert measured["p50_ms"] == measured["p99_ms"] == 12_000


@pytest.mark.parametrize(
    ("requests", "failed"), [(1, 1), (2, 1), (20, 1), (21, 1), (21, 2), (100, 5), (101, 5), (101, 6)]
)
def test_a_percentile_is_a_bound_exactly_when_a_failure_enters_it(requests: int, failed: int) -> None:
    made = [request(1 + n / 100, 20, ok=n >= failed) for n in range(requests)]
    result = only(with_phase(trial(requests=made), overload=True))
    for name in SHARES:
        touched = (result.metrics["all"][name] or 0) > 20
        assert (name in bounded(result.metrics["all"])) == touched


def test_a_shop_without_any_success_has_numbers_that_are_bounds() -> None:
    failed = [request(1.0 + n / 10, 10_000, status=0, ok=False) for n in range(99)]
    result = only(with_phase(trial(requests=failed, cores=0.35), overload=True))
    assert result.number("throughput_rps", "all") == Number.at_most(1 / 10)
    assert result.number("p50_ms", "all") == Number.at_least(10_000)
    cost = result.number("cpu_us_per_request", "all")
    assert cost is not None
    assert cost.high == math.inf
    assert cost.value == pytest.approx(0.4 * 10 * 1e6)


def test_a_missing_number_is_none() -> None:
    result = only(trial())
    assert result.value("p50_ms", "GET /nothing") is None
    assert result.value("uss_bytes", "all") == 2 * 50 * 2**20


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda: trial(usage={"generator": steady(0.85)}), "the generator used 0.85 cores"),
        (
            lambda: trial(requests=[request(1 + n / 10, 90, start=1.08 + n / 10) for n in range(99)]),
            "80 ms late",
        ),
        (lambda: trial(cores=0.56), "more than its slice of 0.5"),
        (lambda: with_phase(trial(), saturates=("monolith",)), "should be saturated"),
        (lambda: trial(usage={MACHINE_STOLEN: steady(0.2)}), "the hypervisor took 0.20 cores"),
        (lambda: trial(usage={MACHINE_BUSY: steady(3.95)}), "the whole machine was busy"),
        (
            lambda: trial(usage={MACHINE_BUSY: steady(7.9)}, cores_beyond_quota=4),
            "the whole machine was busy, 3.55 of its 4 cores with other programs",
        ),
    ],
)
def test_a_void_phase_says_why(broken: object, complaint: str) -> None:
    assert callable(broken)
    doubts = only(broken()).doubts
    assert len(doubts) == 1
    assert complaint in doubts[0]


@pytest.mark.parametrize(
    ("did", "told"),
    [
        (lambda: trial(died=["orders-1: SIGKILL"]), "a process ended during the trial: orders-1: SIGKILL"),
        (
            lambda: trial(requests=[request(1 + n / 10, 9, ok=n > 3, status=500) for n in range(99)]),
            "only 96.0% of all requests succeeded",
        ),
        (
            lambda: trial(requests=[request(1 + n / 10, (38 if n < 49 else 20) + n % 7) for n in range(99)]),
            "it was still warming up: the first half took 1.8 times as long as the second",
        ),
    ],
)
def test_what_the_shop_did_is_told_and_counts(did: object, told: str) -> None:
    assert callable(did)
    result = only(did())
    assert result.doubts == []
    assert result.remarks == [told]


@pytest.mark.parametrize("busy", [3.95, 0.5])  # with a quota, our own cores count, whatever the machine does
def test_a_shop_that_fills_the_machine_alone_counts(busy: float) -> None:
    usage = {MACHINE_BUSY: steady(busy), "monolith-1": steady(3.8)}
    result = only(with_phase(trial(usage=usage), slice_cores=4.0))
    assert result.doubts == []
    assert result.remarks == ["the whole machine was busy, nearly all of it with this shop and its load"]


@pytest.mark.parametrize(("stops", "void"), [(400.0, True), (0.0, False)])
def test_a_slice_that_the_shop_left_unused_is_not_one_that_was_not_given(stops: float, void: bool) -> None:
    own = replace(steady(0.2), held={"throttled_periods": [0.0, 0.0, stops]})
    result = only(with_phase(trial(usage={"monolith-1": own}), saturates=("monolith",)))
    assert bool(result.doubts) is void
    assert bool(result.remarks) is not void


def test_a_shop_that_is_as_fast_at_the_end_was_warm() -> None:
    noisy = [request(1 + n / 10, 20 + n * 7919 % 40) for n in range(99)]
    assert only(trial(requests=noisy)).remarks == []


def test_without_slices_none_can_be_exceeded() -> None:
    assert only(trial(cores=0.9, slice_backend="none")).doubts == []


def test_a_trial_in_the_documented_shape() -> None:
    shape = only(trial("microservices")).as_trial()
    assert set(shape) == {
        *("system", "replicas", "repeat", "order", "phase", "metrics", "processes"),
        *("valid", "doubts", "remarks"),
    }
    assert shape["processes"][0] == {
        "name": "recommendations-1",
        "slice": 0.5,
        "cpu_cores": pytest.approx(0.2),
        "uss_bytes": 50 * 2**20,
    }


def test_a_phase_without_visits_is_valid_and_has_the_numbers_of_the_whole_shop() -> None:
    raw = with_phase(trial(cores=0.2, requests=[request(0.5, 20, phase=0)], databases=8), rates={})
    result = only(raw)
    assert result.doubts == []
    assert result.metrics == {}
    assert result.value("cpu_cores", "all") == pytest.approx(0.25)
    assert result.value("instances", "all") == 2
    assert result.value("databases", "all") == 8
    assert result.value("ready_seconds", "all") is None
    assert result.value("p50_ms", "all") is None


def test_planned_visits_that_are_missing_void_the_phase() -> None:
    (doubt,) = only(trial(requests=[request(0.5, 20, phase=0)])).doubts
    assert doubt == "the generator has no row of any visit"


def test_a_request_shorter_than_a_microsecond_counts() -> None:
    some_instant = [request(1.05 + n / 10, 20 * (n % 3)) for n in range(99)]
    result = only(trial(requests=some_instant))
    assert result.metrics["all"]["count"] == 99
    assert result.cpu_us_per_request == pytest.approx(0.25 * 10 / 99 * 1e6)


def test_a_request_that_was_cut_off_counts_as_what_it_had_waited() -> None:
    served = [request(1.0 + n / 100, 20) for n in range(90)]
    cut = [request(10.7 + n / 100, 300 - n * 10, status=0, ok=False, cut=True) for n in range(10)]
    result = only(with_phase(trial(requests=served + cut), overload=True))
    measured = result.metrics["all"]
    assert (measured["errors"], measured["cut"]) == (0, 10)
    assert result.number("p50_ms", "all") == Number.exact(20)
    found = result.number("p95_ms", "all")
    assert found is not None
    assert 210 <= found.value <= 300
    assert found.high == math.inf


def test_a_percentile_below_all_that_was_cut_off_is_known_within_its_ranks() -> None:
    served = [request(1.0 + n / 100, 20 + n) for n in range(100)]
    cut = [request(10.9, 1, status=0, ok=False, cut=True)]
    found = only(with_phase(trial(requests=served + cut), overload=True)).number("p50_ms", "all")
    assert found == Number(69, 69, 70)


def test_buyers_who_were_not_started_or_cut_off_count_in_the_visit_as_a_whole() -> None:
    def visit(at: float, took: float, **other: Any) -> Request:
        return request(at, took, route="VISIT buy", **other)

    confirmed = [visit(1.0 + n, 100) for n in range(4)]
    late, failed = visit(5.5, 251), visit(6.5, 40, ok=False, status=503)
    never = visit(7.0, math.nan, start=None, status=0, ok=False)
    cut = visit(10.0, 1500, status=0, ok=False, cut=True)
    requests = [request(1.05 + n / 10, 20) for n in range(90)]
    raw = trial(requests=[*requests, *confirmed, late, failed, never, cut])
    result = only(with_phase(raw, overload=True))
    assert result.counts("in_time_share", "VISIT buy") == (4, 0, 8)
    assert result.counts("answered_share", "VISIT buy") == (5, 1, 8)
    assert result.number("p95_ms", "VISIT buy") == Number.at_least(10_000)


def test_a_whole_visit_is_no_request() -> None:
    requests = [request(1.05 + n / 10, 20) for n in range(99)]
    visits = [request(1.05 + n / 10, 20, route="VISIT buy", ok=False, status=0) for n in range(50)]
    with_visits, without = only(trial(requests=requests + visits)), only(trial(requests=requests))
    assert with_visits.metrics["all"] == without.metrics["all"]
    assert with_visits.cpu_us_per_request == without.cpu_us_per_request
    assert with_visits.remarks == []


def test_a_request_sent_after_the_fault_was_not_served_during_it() -> None:
    during = [request(1.05 + n / 10, 20) for n in range(90)]
    after = [request(11.5, 20) for _ in range(10)]
    fault = PlannedAction("hang", "monolith", 0.0)
    for action, served in ((None, 100), (fault, 90), (replace(fault, what="restart"), 100)):
        result = only(with_phase(trial(requests=during + after), overload=True, action=action))
        assert result.counts("answered_share", "all") == (served, 0, 100)


def test_what_the_slice_held_back_stands_beside_the_process() -> None:
    counts = {"throttled_periods": [0.0, 5.0, 25.0], "throttled_seconds": [0.0, 0.1, 0.6]}
    held = replace(steady(0.2), held=counts)
    process = only(trial(usage={"monolith-1": held})).processes[0]
    assert process["throttled_periods"] == pytest.approx(2.0)
    assert process["throttled_seconds"] == pytest.approx(0.05)

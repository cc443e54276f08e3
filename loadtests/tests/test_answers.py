"""What charts of scaling and of levels show, in sentences."""

from typing import Any

import pytest

from loadtests.experiments.experiment import Experiment, load
from loadtests.report.answers import level_answers, scaling_answers, superlinear_doubts
from loadtests.report.estimates import TIMES


def trial(
    system: str, replicas: int, repeat: int, rate: float, full: float = 1.0, **other: Any
) -> dict[str, Any]:
    name = "monolith" if system == "monolith" else "recommendations"
    return {
        "system": system,
        "replicas": {name: replicas} if replicas > 1 else {},
        "repeat": repeat,
        "phase": "overload",
        "metrics": {"GET /api/products/{sku}/recommendations": {"achieved_rps": rate}},
        "valid": True,
        "processes": [
            *({"name": f"{name}-{n + 1}", "slice": 0.2, "cpu_cores": 0.2 * full} for n in range(replicas)),
            {"name": "gateway", "slice": None, "cpu_cores": 0.1 * replicas},
            {"name": "generator", "slice": None, "cpu_cores": 0.2},
        ],
        **other,
    }


def scale_hot() -> Experiment:
    return load("scale-hot")


def sentences(trials: list[dict[str, Any]]) -> list[str]:
    return scaling_answers(scale_hot(), {"trials": trials})


def test_two_sizes_have_an_efficiency_and_no_law() -> None:
    trials = [trial("monolith", n, repeat, 10 * n * 0.9 ** (n > 1)) for n in (1, 4) for repeat in (1, 2, 3)]
    (sentence,) = sentences(trials)
    begin = "The monolith with 4 replicas reaches 90% of 4 times the throughput of one replica"
    assert sentence.startswith(f"{begin} (95 % interval 90%")


def test_three_sizes_have_a_law_too() -> None:
    trials = [
        trial("microservices", n, repeat, 10 * n / (1 + 0.1 * (n - 1)))
        for n in (1, 2, 4, 8)
        for repeat in (1, 2, 3)
    ]
    efficiency, _, law = sentences(trials)
    assert "The split with 8 replicas reaches 59% of 8 times" in efficiency
    assert "10 (10 to 10) requests/s of one replica, contention 0.1 (0.1 to 0.1)" in law


def test_a_law_that_turns_down_names_its_peak() -> None:
    trials = [
        trial("monolith", n, repeat, 10 * n / (1 + 0.04 * n * (n - 1)))
        for n in (1, 2, 4, 8)
        for repeat in (1, 2, 3)
    ]
    assert sentences(trials)[2].endswith("throughput falls beyond 5 replicas; nothing beyond 8 was measured.")


def test_a_repeat_counts_only_where_it_is_valid_at_every_size() -> None:
    trials = [trial("monolith", n, repeat, 10.0 * n) for n in (1, 4) for repeat in (1, 2)]
    void = [trial("monolith", 1, 3, 10), trial("monolith", 4, 3, 1, valid=False)]
    assert sentences(trials + void) == sentences(trials)


def test_one_size_has_no_efficiency() -> None:
    assert sentences([trial("monolith", 1, 1, 10)]) == []
    assert sentences([]) == []


@pytest.mark.parametrize(
    ("full", "why"),
    [
        (0.98, "used 98% of their slices, so each answer cost more CPU than with one replica"),
        (0.6, "used 60% of their slices, so something else limited them"),
    ],
)
def test_the_evidence_for_a_low_efficiency_is_named(full: float, why: str) -> None:
    trials = [
        trial("microservices", n, repeat, 10 * n / (1 + 0.1 * (n - 1)), full)
        for n in (1, 8)
        for repeat in (1, 2, 3)
    ]
    evidence = sentences(trials)[1]
    assert evidence == f"The 8 replicas {why}; the busiest other process was gateway with 0.80 cores."


def test_replicas_without_a_slice_have_no_share_of_one() -> None:
    trials = [trial("microservices", n, 1, 10 * n / (1 + 0.1 * (n - 1))) for n in (1, 8)]
    for process in (process for each in trials for process in each["processes"]):
        process["slice"] = None  # as of pods
    assert sentences(trials)[1] == "The busiest process beside the 8 replicas was gateway with 0.80 cores."


def level(phase: str, system: str, value: float) -> dict[str, Any]:
    return {
        "metric": "p95_ms",
        "endpoint": "VISIT buy",
        "phase": phase,
        "id": system,
        "value": value,
        "low": value,
        "high": value,
        "bound": None,
    }


def lines_of(monolith: list[float], split: list[float]) -> list[dict[str, Any]]:
    phases = ("quiet", "spike × 8", "spike × 32", "spike × 96")  # noqa: RUF001 - as the experiment calls them
    return [
        level(phase, system, value)
        for system, values in (("monolith", monolith), ("split", split))
        for phase, value in zip(phases, values, strict=True)
    ]


def test_lines_that_cross_are_named_with_the_place() -> None:
    estimates = lines_of([20, 20, 80, 2000], [40, 40, 40, 40])
    (sentence,) = level_answers(load("budget"), {"estimates": estimates})
    assert f"monolith {TIMES} 6 is lower up to about 16 {TIMES} (measured at 8 and 32)" in sentence
    assert sentence.endswith("split, divided by need is lower beyond that.")


def test_lines_that_do_not_cross_are_named_too() -> None:
    (sentence,) = level_answers(load("budget"), {"estimates": lines_of([20] * 4, [40] * 4)})
    assert f"do not cross; monolith {TIMES} 6 is lower." in sentence


def test_a_crossing_beside_a_bound_is_only_known_between_its_levels() -> None:
    estimates = lines_of([20, 20, 80, 2000], [40, 40, 40, 40])
    estimates[2] |= {"low": 60, "high": None, "bound": "at least"}
    (sentence,) = level_answers(load("budget"), {"estimates": estimates})
    assert f"is lower up to somewhere between 8 and 32 {TIMES}, split" in sentence


def test_a_level_at_which_the_lower_line_is_a_bound_decides_nothing() -> None:
    estimates = lines_of([20, 20, 20, 30], [40, 40, 40, 40])
    estimates[3] |= {"high": None, "bound": "at least"}
    (sentence,) = level_answers(load("budget"), {"estimates": estimates})
    assert f"do not cross; monolith {TIMES} 6 is lower." in sentence
    unknown = [each | {"low": None, "high": None, "bound": "unknown"} for each in estimates]
    (sentence,) = level_answers(load("budget"), {"estimates": unknown})
    assert "it is not known whether" in sentence


def test_replicas_that_do_more_than_they_should_have_no_law_and_are_a_doubt() -> None:
    trials = [
        trial("microservices", n, repeat, 10 * n * (1.1 if n > 1 else 1.0) * (1 + repeat / 500))
        for n in (1, 2, 4, 8)
        for repeat in (1, 2, 3)
    ]
    assert sentences(trials)[-1].startswith("The split by the Universal Scalability Law: not fitted. ")
    (doubt,) = superlinear_doubts(scale_hot(), {"trials": trials})
    assert "reaches 110% of" in doubt
    assert superlinear_doubts(scale_hot(), {"trials": trials[:3]}) == []

"""What a scaling chart says in words."""

from typing import Any

from loadtests.answers import scaling_answers
from loadtests.experiment import Experiment, load
from loadtests.ledger import TIMES


def trial(system: str, replicas: int, repeat: int, rate: float, **other: Any) -> dict[str, Any]:
    name = "monolith" if system == "monolith" else "recommendations"
    return {
        "system": system,
        "replicas": {name: replicas} if replicas > 1 else {},
        "repeat": repeat,
        "phase": "overload",
        "metrics": {"GET /api/products/{sku}/recommendations": {"achieved_rps": rate}},
        "valid": True,
        **other,
    }


def scale_hot() -> Experiment:
    return load("scale-hot")


def said(trials: list[dict[str, Any]]) -> list[str]:
    return scaling_answers(scale_hot(), {"trials": trials})


def test_two_sizes_have_an_efficiency_and_no_law() -> None:
    trials = [trial("monolith", n, repeat, 10 * n * 0.9 ** (n > 1)) for n in (1, 4) for repeat in (1, 2, 3)]
    (sentence,) = said(trials)
    assert sentence.startswith(f"The monolith {TIMES} 4 does 90% of 4 times what one does (95 % interval 90%")


def test_three_sizes_have_a_law_too() -> None:
    trials = [
        trial("microservices", n, repeat, 10 * n / (1 + 0.1 * (n - 1)))
        for n in (1, 2, 4, 8)
        for repeat in (1, 2, 3)
    ]
    efficiency, law = said(trials)
    assert f"The split {TIMES} 8 does 59% of 8 times" in efficiency
    assert "10 (10 to 10) requests/s of one replica, contention 0.1 (0.1 to 0.1)" in law


def test_a_law_that_turns_down_names_its_peak() -> None:
    trials = [
        trial("monolith", n, repeat, 10 * n / (1 + 0.04 * n * (n - 1)))
        for n in (1, 2, 4, 8)
        for repeat in (1, 2, 3)
    ]
    assert said(trials)[1].endswith("more than 5 replicas would do less; nothing beyond 8 was measured.")


def test_a_repeat_counts_only_where_it_is_valid_at_every_size() -> None:
    trials = [trial("monolith", n, repeat, 10.0 * n) for n in (1, 4) for repeat in (1, 2)]
    void = [trial("monolith", 1, 3, 10), trial("monolith", 4, 3, 1, valid=False)]
    assert said(trials + void) == said(trials)


def test_one_size_says_nothing() -> None:
    assert said([trial("monolith", 1, 1, 10)]) == []
    assert said([]) == []

"""Verdicts: each claim of an experiment as a ratio (or a value) with its interval, judged. Pure."""

from collections.abc import Iterable
from typing import Any

from loadtests.analysis.estimates import estimate
from loadtests.analysis.selection import Selected, by_repeat
from loadtests.analysis.stats import (
    Interval,
    Number,
    Verdict,
    judge_bar,
    judge_direction,
    product,
    ratio_of_numbers,
    rounded,
)
from loadtests.experiments.claims import Claim
from loadtests.experiments.metrics import METRICS, amount


def verdict(claim: Claim, selected: Selected) -> dict[str, Any]:
    """The entry of a claim in `verdicts` of results.json."""
    result = _ratio(claim, selected) if claim.over else _value(claim, selected)
    missing = sum(None in (*of, *over) for of, over in _sides(claim, selected))
    if result is None or missing:
        judged = Verdict.INCONCLUSIVE
    elif claim.judge == "bar" and claim.bar:
        judged = judge_bar(result, claim.bar)
    else:
        judged = judge_direction(result, claims_more=claim.more)
    unit = None if claim.over else METRICS[claim.metric].unit
    return {
        "claim": claim.claim,
        "statement": _statement(claim, result, unit, missing),
        "ratio": rounded(result.value if result else None),
        "low": rounded(result.low if result else None),
        "high": rounded(result.high if result else None),
        "verdict": judged.value,
        **({"unit": unit} if unit else {}),
    }


def _statement(claim: Claim, result: Interval | None, unit: str | None, missing: int) -> str:
    statement = claim.statement.replace("{ratio}", _in_words(result, unit))
    if missing:
        count = "one repeat" if missing == 1 else f"{missing} repeats"
        statement += f" In {count} one side had no such request, so this run cannot tell."
    return statement


def _in_words(result: Interval | None, unit: str | None) -> str:
    """The number as it reads in a sentence. It is a bound if exactly one end of its interval is open."""
    if result is None:
        return "?"
    bound = "" if (result.low is None) == (result.high is None) else "at least " if result.low else "at most "
    return f"{bound}{amount(result.value, unit)}"


def _value(claim: Claim, selected: Selected) -> Interval | None:
    """The metric of a claim without `over`; None if nothing was measured."""
    return estimate(by_repeat(selected, claim.of[0]), claim.metric, claim.endpoint)


def _ratio(claim: Claim, selected: Selected) -> Interval | None:
    """The ratio of the claim; None if no repeat has both sides."""
    pairs = list(_pairs(claim, selected))
    return ratio_of_numbers(pairs) if pairs else None


def ratios(claim: Claim, selected: Selected) -> list[float]:
    """The ratio of the claim in each repeat that has both sides."""
    return [above.value / below.value for above, below in _pairs(claim, selected)]


def _pairs(claim: Claim, selected: Selected) -> Iterable[tuple[Number, Number]]:
    """Numerator and denominator of the claim in each repeat that has both."""
    for of, over in _sides(claim, selected):
        if None not in of and None not in over:
            yield (
                product([number for number in of if number is not None]),
                product([number for number in over if number is not None]),
            )


def _sides(claim: Claim, selected: Selected) -> Iterable[tuple[list[Number | None], list[Number | None]]]:
    """The numbers of both sides, in each repeat that has a valid result for every name of the claim."""
    repeats = {repeat for results in selected.values() for repeat in results}
    for repeat in sorted(repeats):
        of = [by_repeat(selected, name).get(repeat) for name in claim.of]
        over = [by_repeat(selected, name).get(repeat) for name in claim.over]
        if None not in of and None not in over:
            yield (
                [result.number(claim.metric, claim.endpoint) for result in of if result],
                [result.number(claim.metric, claim.endpoint) for result in over if result],
            )

"""Verdicts: each claim of an experiment as a ratio (or a value) with its interval, judged. Pure.

What is easy to get wrong: an experiment with thirteen rows at 95 % has even odds of one miss. So its file names the few
primary claims beforehand, and these are judged together (Holm). The other rows are judged one by one.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from loadtests.analysis.estimates import as_entry, estimate
from loadtests.analysis.numbers import Number, product, quotient
from loadtests.analysis.selection import Selected, by_repeat
from loadtests.analysis.stats import Interval, Verdict, judge_bar, judge_direction, ratio_of_numbers
from loadtests.analysis.student import CONFIDENCE
from loadtests.experiments.claims import Claim
from loadtests.experiments.metrics import METRICS, amount


def verdicts(claims: Sequence[Claim], selected: Selected, everything: Selected) -> list[dict[str, Any]]:
    """The entries of `verdicts` in results.json. In `everything` nothing is left out, void trials included."""
    judged, with_void = judge_all(claims, selected), judge_all(claims, everything)
    return [
        _entry(claim, selected, judged[place], len([each for each in claims if each.primary]))
        | ({} if selected == everything else {"with_void": _with_void(claim, everything, with_void[place])})
        for place, claim in enumerate(claims)
    ]


def judge_all(claims: Sequence[Claim], selected: Selected) -> list[Verdict]:
    """The verdict of each claim; the primary ones are corrected for their number.

    S. Holm, Scandinavian Journal of Statistics 6, 1979: of m claims that are not decided yet, one is decided if its
    interval at 1 - 0.05 / m decides it. Then m is one less, and so on. So the chance that any decided primary claim is
    wrong is 5 %, and not 5 % for each.
    """
    found = [judge(claim, selected) for claim in claims]
    open_claims = [place for place, claim in enumerate(claims) if claim.primary]
    while open_claims:
        confidence = 1 - (1 - CONFIDENCE) / len(open_claims)
        now = {place: judge(claims[place], selected, confidence) for place in open_claims}
        undecided = [place for place in open_claims if now[place] is Verdict.INCONCLUSIVE]
        found = [now.get(place, verdict) for place, verdict in enumerate(found)]
        if len(undecided) == len(open_claims):
            break
        open_claims = undecided
    return found


def judge(claim: Claim, selected: Selected, confidence: float = CONFIDENCE) -> Verdict:
    """The verdict of one claim alone, with its interval at this confidence. A bar decides where there is one."""
    result = _result(claim, selected, confidence)
    if result is None or _missing(claim, selected):
        return Verdict.INCONCLUSIVE
    if claim.bar:
        return judge_bar(result, claim.bar)
    return judge_direction(result, claims_more=claim.more, margin=claim.margin_or_default)


def _entry(claim: Claim, selected: Selected, judged: Verdict, primary: int) -> dict[str, Any]:
    result = _result(claim, selected)
    unit = None if claim.over else METRICS[claim.metric].unit
    nothing: dict[str, Any] = {"value": None, "low": None, "high": None, "bound": None}
    entry = as_entry(result) if result else nothing
    sentences = [claim.statement.replace("{ratio}", _in_words(result, unit))]
    if missing := _missing(claim, selected):
        count = "one repeat" if missing == 1 else f"{missing} repeats"
        what = "had no such request" if METRICS[claim.metric].source == "requests" else "has no such number"
        sentences.append(f"In {count} one side {what}, so this run cannot tell.")
    if judged is Verdict.NO_WINNER:
        sentences.append(f"The two are less than {claim.margin_or_default:g} times apart.")
    alone = judge(claim, selected)
    if judged is Verdict.INCONCLUSIVE and alone is not judged:
        sentences.append(f"Alone it would be {alone}; corrected for {primary} primary claims it is not.")
    return {
        "claim": claim.claim,
        "statement": " ".join(sentences),
        "ratio": entry.pop("value"),
        **entry,
        "verdict": judged.value,
        "primary": claim.primary,
        **({"unit": unit} if unit else {}),
    }


def _with_void(claim: Claim, everything: Selected, judged: Verdict) -> dict[str, Any]:
    result = _result(claim, everything)
    entry = as_entry(result) if result else {"value": None, "low": None, "high": None, "bound": None}
    return {"ratio": entry.pop("value"), **entry, "verdict": judged.value}


def _in_words(result: Interval | None, unit: str | None) -> str:
    """The number as it reads in a sentence. Of a bound, the end that the data support with 95 % confidence."""
    if result is None:
        return "?"
    if result.bound is None:
        return amount(result.value, unit)
    known = result.high if result.low is None else result.low
    return "?" if known is None else f"{result.bound} {amount(known, unit)}"


def _missing(claim: Claim, selected: Selected) -> int:
    """In how many repeats a side has no number."""
    return sum(None in (*of, *over) for of, over in _sides(claim, selected))


def _result(claim: Claim, selected: Selected, confidence: float = CONFIDENCE) -> Interval | None:
    """The ratio of the claim, or its metric where it has no `over`; None if nothing was measured."""
    if not claim.over:
        return estimate(by_repeat(selected, claim.of[0]), claim.metric, claim.endpoint, confidence)
    found = list(_pairs(claim, selected))
    return ratio_of_numbers(found, confidence) if found else None


def ratios(claim: Claim, selected: Selected) -> list[Number]:
    """The ratio of the claim in each repeat that has both sides."""
    return [quotient(above, below) for above, below in _pairs(claim, selected)]


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

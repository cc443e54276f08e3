"""The traces that a learner's program is tried on have one right answer, and plausible wrong ideas miss it."""

from __future__ import annotations

import random

import pytest

from exercises.checks.drawn_traces import CASES, Draft, any_trace, slowest_of

SEEDS = range(40)
SELF = "the page itself works between short calls"


def own_time(span, spans):
    """Time in no child, as if nobody cared who waited for what."""
    inside = sorted((each.start, each.end) for each in spans if each.parent_id == span.span_id)
    covered, at = 0, span.start
    for start, end in inside:
        covered += max(0, min(end, span.end) - max(start, at))
        at = max(at, min(end, span.end))
    return span.end - span.start - covered


@pytest.mark.parametrize("says", CASES)
def test_one_span_of_each_drawn_trace_is_clearly_the_slowest(says):
    for seed in SEEDS:
        assert slowest_of(CASES[says](Draft(random.Random(seed)))) is not None


@pytest.mark.parametrize("says", sorted(CASES.keys() - {SELF}))
def test_the_longest_span_is_not_the_answer(says):
    for seed in SEEDS:
        spans = CASES[says](Draft(random.Random(seed)))
        assert slowest_of(spans).span is not max(spans, key=lambda span: span.end - span.start)


def test_the_longest_time_of_its_own_is_not_the_answer_when_a_longer_chain_goes_on_beside_it():
    for seed in SEEDS:
        spans = CASES["the longest work has a longer chain beside it"](Draft(random.Random(seed)))
        assert slowest_of(spans).span is not max(spans, key=lambda span: own_time(span, spans))


def test_a_trace_drawn_at_random_has_an_answer_that_is_not_its_first_span():
    for seed in SEEDS:
        assert slowest_of(any_trace(random.Random(seed))).span.parent_id is not None


def test_a_trace_without_a_first_span_has_no_answer():
    spans = CASES["two calls overlap"](Draft(random.Random(1)))
    assert slowest_of(spans[1:]) is None

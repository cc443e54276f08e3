"""The claims of an experiment's file, which become rows of the ledger, and its charts."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from loadtests.experiments.bar import Bar
from loadtests.experiments.metrics import METRICS
from loadtests.experiments.parts import Part

SMALLEST_MARGIN = 1.0


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"expected one of {', '.join(METRICS)}")
    return metric


Metric = Annotated[str, AfterValidator(_known)]
"""A key of the registry of metrics."""


class Claim(Part):
    """One row of the ledger: a metric of some measurements, divided by the same metric of others.

    `of` (the numerator) and `over` (the denominator) name measurements as `system/phase`. Several names on one side
    are multiplied, so a ratio of ratios has two names on each side. Without `over` the row is the metric itself, and
    a bar is required. A claim with a bar is judged by it: the whole interval has to keep it. Without one the question
    is whether the ratio is above 1, or below 1 with `more = false`. Then `margin` is the factor of which two equal
    sides have to be shown to be less apart; without it, that of the metric.

    `primary` claims are the few that the experiment is made for. They are judged together, so that their number does
    not make a finding of chance.
    """

    side: Literal["claim", "price"]
    claim: str
    statement: str
    metric: Metric
    endpoint: str = "all"
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    over: tuple[str, ...] = ()
    more: bool = True
    judge: Literal["direction", "bar"] | None = None
    """Only in files of older versions. There it said what the bar says now."""
    primary: bool = False
    margin: Annotated[float, Field(gt=SMALLEST_MARGIN)] | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bar(self) -> Bar | None:
        """The promised number, if the claim has one."""
        if self.at_least is None and self.at_most is None:
            return None
        return Bar(self.at_least, self.at_most)

    @property
    def systems(self) -> set[str]:
        """The ids of the systems that it is about."""
        return {name.partition("/")[0] for name in (*self.of, *self.over)}

    @property
    def phases(self) -> set[str]:
        """The names of the phases that it is about."""
        return {name.partition("/")[2] for name in (*self.of, *self.over)}

    @property
    def margin_or_default(self) -> float:
        """The margin of this claim, or else that of its metric."""
        return self.margin or METRICS[self.metric].margin

    @model_validator(mode="after")
    def _has_at_most_one_bar(self) -> Self:
        if self.at_least is not None and self.at_most is not None:
            raise ValueError("expected at_least or at_most, not both")
        if self.judge == "bar" and self.bar is None:
            raise ValueError('judge = "bar" expects at_least or at_most')
        if self.judge == "direction" and self.bar:
            raise ValueError("a claim with at_least or at_most is judged by it; expected no judge")
        if not self.over and (self.bar is None or len(self.of) > 1):
            raise ValueError("a claim without over expects one name in of, and at_least or at_most")
        if self.bar and self.margin:
            raise ValueError("expected a bar or a margin, not both")
        return self


class Chart(Part):
    """A chart of one metric.

    `kind` is the horizontal axis: `bars` for system and phase, `scaling` for the number of replicas, `levels` for the
    `level` of each phase, `products` for the size of the catalogue.
    """

    kind: Literal["bars", "scaling", "levels", "products"]
    title: str
    metric: Metric
    endpoint: str = "all"
    phases: tuple[str, ...]

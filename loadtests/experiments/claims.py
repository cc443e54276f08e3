"""The claims of an experiment's file, which become rows of the ledger, and its charts."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from loadtests.experiments.bar import Bar
from loadtests.experiments.metrics import METRICS
from loadtests.experiments.parts import Part


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
    a bar is required. `judge = "bar"` asks whether the whole interval keeps the bar. `judge = "direction"` asks
    whether the ratio is above 1, or below 1 with `more = false`.
    """

    side: Literal["claim", "price"]
    claim: str
    statement: str
    metric: Metric
    endpoint: str = "all"
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    over: tuple[str, ...] = ()
    more: bool = True
    judge: Literal["direction", "bar"] = "direction"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bar(self) -> Bar | None:
        """The promised number, if the claim has one."""
        if self.at_least is None and self.at_most is None:
            return None
        return Bar(self.at_least, self.at_most)

    @model_validator(mode="after")
    def _has_at_most_one_bar(self) -> Self:
        if self.at_least is not None and self.at_most is not None:
            raise ValueError("expected at_least or at_most, not both")
        if self.judge == "bar" and self.bar is None:
            raise ValueError('judge = "bar" expects at_least or at_most')
        if not self.over and (self.judge != "bar" or len(self.of) > 1):
            raise ValueError('a claim without over expects one name in of, and judge = "bar"')
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

"""A bar: a number that was promised before the measurement."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A promised limit: `at_least` 3.6, or `at_most` 1.25. Exactly one of the two is set."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether `value` is on the promised side; the limit itself is."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

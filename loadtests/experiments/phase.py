"""A phase of an experiment's file: its rates, the curve that they follow, and an action on the shop."""

from typing import Annotated, Self

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from loadtests.experiments import curves
from loadtests.experiments.files import Files
from loadtests.experiments.kinds import ActionKind, Kind, Shape
from loadtests.experiments.parts import Cores, Part, Persona, Rate, Seconds, Share

Multiple = Annotated[float, Field(ge=0, le=curves.MAX_MULTIPLE)]


class Curve(Part):
    """How the rates of a phase change. Exactly one of four keys is set, and gives multiples of the rates.

    `steps` are stretches of equal length. `spike` lasts from `begin` to `end`, as shares of the phase. `double_wave`
    is the lowest and the highest multiple of a day with two peaks. `csv` is a file beside the experiment with the
    columns time (seconds) and rate (visits per second of all personas together); the rates of the phase divide them
    among the personas. With `only`, the rates of the other personas stay constant.
    """

    steps: Annotated[tuple[Multiple, ...], Field(min_length=1)] | None = None
    spike: Multiple | None = None
    begin: Share = 0.4
    end: Share = 0.6
    double_wave: tuple[Multiple, Multiple] | None = None
    csv: str | None = None
    only: tuple[Persona, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_four(self) -> Self:
        given = (self.steps, self.spike, self.double_wave, self.csv)
        if sum(each is not None for each in given) != 1:
            raise ValueError("expected exactly one of steps, spike, double_wave, csv")
        if self.begin >= self.end:
            raise ValueError("expected begin before end")
        return self

    def points(self, seconds: float, recorded: tuple[curves.Point, ...]) -> tuple[curves.Point, ...]:
        """The curve of a phase of that length. `recorded` holds the points of the CSV file, if there is one."""
        if self.steps is not None:
            return curves.steps(seconds, self.steps)
        if self.spike is not None:
            return curves.spike(seconds, self.spike, self.begin, self.end)
        if self.double_wave is not None:
            return curves.double_wave(seconds, *self.double_wave)
        return recorded


class Action(Part):
    """An action on a running shop, `at` seconds after the phase begins. A fault ends with the phase.

    `of` names the service of each shop. `what` is one of: `kill` (SIGKILL once; the launcher restarts the process),
    `dead` (killed again after each restart), `hang` (SIGSTOP), `slow` (a tenth of its slice), `restart` (rolling),
    `add` (one more replica).
    """

    what: ActionKind
    of: dict[Kind, str]
    at: Annotated[float, Field(ge=0)] = 1.0


class PhaseSpec(Part):
    """A stretch of time with a rate per persona, in visits per second, constant or along a curve.

    `overload` means that the load may exceed what the shop can do. There, unserved requests are a result; in every
    other phase they void the trial. `saturates` names the services that must use up their slice. `level` is the
    position of the phase on the axis of a `levels` chart, such as the size of a spike. With `follow`, the replicas of
    systems with `following` change.
    """

    name: str
    seconds: Seconds
    rates: dict[Persona, Rate]
    shape: Shape = "poisson"
    curve: Curve | None = None
    slice_cores: Cores | None = None
    in_flight_per_replica: dict[Persona, Annotated[int, Field(ge=1, le=500)]] = Field(default_factory=dict)
    record: bool = True
    overload: bool = False
    saturates: tuple[str, ...] = ()
    level: float | None = None
    follow: bool = False
    action: Action | None = None
    _recorded: tuple[curves.Point, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _read_curve(self, info: ValidationInfo) -> Self:
        """Read the CSV file of the curve."""
        if self.curve and self.curve.csv:
            total = sum(self.rates.values())
            if total <= 0:
                raise ValueError("expected rates above 0, which say how the curve is divided among personas")
            files = info.context or Files(None, {})
            self._recorded = curves.read_csv(files.read(self.curve.csv).splitlines(), self.curve.csv, total)
        return self

    @model_validator(mode="after")
    def _rates_are_possible(self) -> Self:
        if (rate := curves.highest_rate(self.rates.values(), self.points)) > curves.MAX_RATE:
            raise ValueError(
                f"expected at most {curves.MAX_RATE:g} visits per second at any time, not {rate:g}"
            )
        return self

    @property
    def points(self) -> tuple[curves.Point, ...]:
        """The curve in seconds and multiples; empty when the rates are constant."""
        return self.curve.points(self.seconds, self._recorded) if self.curve else ()

"""Parts of an experiment's file that move a rate, and how the files beside it are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loadtests.experiments import curves
from loadtests.experiments.kinds import Kind, What

Multiple = Annotated[float, Field(ge=0, le=curves.HIGHEST)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A table of the file: unknown keys are mistakes, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Curve(Part):
    """How a phase's rates move; exactly one of four, as multiples of the rates, or as a file.

    `steps` are equal stretches; `spike` lasts from `begin` to `end`, shares of the phase; `double_wave` is the lowest
    and the highest multiple of a day with two peaks; `csv` is a file beside the experiment, with the columns time
    (seconds) and rate (visits per second of all personas), whose rates the phase's own divide among the personas.
    """

    steps: Annotated[tuple[Multiple, ...], Field(min_length=1)] | None = None
    spike: Multiple | None = None
    begin: Share = 0.4
    end: Share = 0.6
    double_wave: tuple[Multiple, Multiple] | None = None
    csv: str | None = None

    @model_validator(mode="after")
    def _one_of_four(self) -> Self:
        given = (self.steps, self.spike, self.double_wave, self.csv)
        if sum(each is not None for each in given) != 1:
            raise ValueError("expected exactly one of steps, spike, double_wave, csv")
        if self.begin >= self.end:
            raise ValueError("expected begin before end")
        return self

    def points(self, seconds: float, recorded: tuple[curves.Point, ...]) -> tuple[curves.Point, ...]:
        """The curve over a phase of that length; `recorded` is what the file says."""
        if self.steps is not None:
            return curves.steps(seconds, self.steps)
        if self.spike is not None:
            return curves.spike(seconds, self.spike, self.begin, self.end)
        if self.double_wave is not None:
            return curves.double_wave(seconds, *self.double_wave)
        return recorded


class Action(Part):
    """What is done to a running shop in a phase, `at` seconds after its begin; faults end with the phase.

    To the service that `of` names for each shop: `kill` (SIGKILL once, the launcher starts it again), `dead` (killed as
    often as it comes back), `hang` (SIGSTOP), `slow` (a tenth of its slice), `restart` (rolling), `add` (one replica
    more).
    """

    what: What
    of: dict[Kind, str]
    at: Annotated[float, Field(ge=0)] = 1.0


class SearchText(Part):
    """Capacity at a promise, searched by bisection: `phase` is run at rates from `start` visits per second on.

    The rates of the phase say only how visits are divided among personas. One trial is one rate, with fresh processes:
    the phases before it that are not recorded, and this one, which the other trials leave out. The bracket is narrow
    enough at `width` of its lower end. The p95 is that of `endpoint`, errors and what was answered are of everything.
    """

    phase: str
    start: Annotated[float, Field(gt=0, le=2000)]
    width: Annotated[float, Field(gt=0, le=1)] = 0.1
    least: Annotated[float, Field(gt=0)] = 1.0
    most: Annotated[float, Field(gt=0, le=5000)] = 2000.0
    endpoint: str = "all"
    p95_ms: Annotated[float, Field(gt=0)] = 250.0
    errors: Share = 0.001
    achieved: Share = 0.99


class Turns(Part):
    """Systems whose shops are up together and take turns under the load of one `phase` (`loadtests.planning.turns`).

    Each of `groups` names systems; one that no group names runs alone. The phase's seconds are each system's own, in
    turns of about `seconds`, each after `lead_seconds` of the same load that do not count.
    """

    phase: str
    groups: Annotated[tuple[Annotated[tuple[str, ...], Field(min_length=2)], ...], Field(min_length=1)]
    seconds: Annotated[float, Field(ge=0.2, le=60)] = 0.8
    lead_seconds: Annotated[float, Field(gt=0, le=10)] = 0.25

    def rounds(self, phase_seconds: float) -> int:
        """How many turns each has in a phase of that length."""
        return max(1, round(phase_seconds / self.seconds))


@dataclass
class Reading:
    """What the validators need to know: where files stand beside the experiment, and which were read."""

    folder: Path | None
    texts: dict[str, str]


def beside(reading: Reading | None, name: str) -> str:
    """A file beside the experiment's own, remembered with it."""
    if Path(name).name != name:
        raise ValueError(f'expected a file beside this one, not "{name}"')
    if reading is None or reading.folder is None:
        raise ValueError(f"{name} cannot be read, because this experiment is in no folder")
    try:
        text = (reading.folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: expected a CSV of time and rate beside this file: {error}") from error
    reading.texts[name] = text
    return text

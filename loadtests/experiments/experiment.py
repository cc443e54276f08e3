"""Experiments are data: a question, what is expected and why, systems, phases, claims. Read from TOML, checked.

A wrong file is refused with the file, the key and what was expected there; nothing is guessed.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from loadtests.experiments import curves
from loadtests.experiments.claims import Chart, Claim
from loadtests.experiments.kinds import Kind, Shape
from loadtests.experiments.parts import Action, Curve, Part, Reading, SearchText, Turns, beside

FOLDER = Path(__file__).parent

Persona = Literal["window-shopper", "searcher", "buyer", "recommendation-widget", "auditor"]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Rate = Annotated[float, Field(ge=0, le=5000)]
Count = Annotated[int, Field(ge=1, le=64)]
Cores = Annotated[float, Field(ge=0.02, le=64)]


class ExperimentError(Exception):
    """An experiment that cannot be used; the sentence names file, key and what was expected."""


class System(Part):
    """A shop in one configuration. Services that `replicas` does not name have one.

    `slices` gives services slices of their own, in phases that name none; `products` is the size of the catalogue.
    """

    id: str
    label: str
    system: Kind
    replicas: dict[str, Count] = Field(default_factory=dict)
    slices: dict[str, Cores] = Field(default_factory=dict)
    products: Annotated[int, Field(ge=40, le=99_999)] | None = None


class PhaseText(Part):
    """A stretch of time with rates in visits per second by persona, constant or along a curve.

    `overload` says that the shop is asked for more than it can be expected to do: what it leaves undone is
    the result there, and a reason to void the trial everywhere else. `saturates` names services that must
    then use their slice. `level` is where the phase stands on the axis of a chart over levels, such as the size of a
    spike.
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
    action: Action | None = None
    _recorded: tuple[curves.Point, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _read_curve(self, info: ValidationInfo) -> Self:
        """Read the curve's file, which stands beside the experiment's."""
        if self.curve and self.curve.csv:
            total = sum(self.rates.values())
            if total <= 0:
                raise ValueError("expected rates above 0, which say how the curve is divided among personas")
            lines = beside(info.context, self.curve.csv).splitlines()
            self._recorded = curves.read_csv(lines, self.curve.csv, total)
        return self

    @property
    def points(self) -> tuple[curves.Point, ...]:
        """The curve in seconds and multiples; empty when the rates stay."""
        return self.curve.points(self.seconds, self._recorded) if self.curve else ()


class Limits(Part):
    """How long a request may take, and how many visits of a persona may be under way (the bounded queue)."""

    timeout_seconds: Seconds = 10.0
    drain_seconds: Seconds = 10.0
    users: dict[Persona, Annotated[int, Field(ge=1, le=2000)]]


class DemoForm(Part):
    """The short form: fewer repeats, shorter phases, fewer systems; everything else stays."""

    repeats: Annotated[int, Field(ge=1, le=50)]
    seconds: dict[str, Seconds]
    systems: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    slice_cores: Cores | None = None
    timeout_seconds: Seconds | None = None
    drain_seconds: Seconds | None = None


class Experiment(Part):
    """One experiment as its file says it."""

    name: str
    question: str
    expect: str
    because: str
    doubts: tuple[str, ...] = ()
    seed: int
    repeats: Annotated[int, Field(ge=1, le=100)]
    slice_cores: Cores
    limits: Limits
    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    phases: Annotated[tuple[PhaseText, ...], Field(min_length=1)]
    search: SearchText | None = None
    turns: Turns | None = None
    claims: tuple[Claim, ...]
    charts: tuple[Chart, ...] = ()
    demo: DemoForm
    _texts: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """The files that it was read from, by name: they travel with its result."""
        return self._texts

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        systems, phases = {each.id for each in self.systems}, {each.name for each in self.phases}
        if len(systems) < len(self.systems) or len(phases) < len(self.phases):
            raise ValueError("expected every system id and phase name once")
        for claim in self.claims:
            for name in (*claim.of, *claim.over):
                system, _, phase = name.partition("/")
                if system not in systems or phase not in phases:
                    raise ValueError(f'claims: expected "system/phase" of this file, not "{name}"')
        unknown = {*self.demo.seconds, *(name for chart in self.charts for name in chart.phases)} - phases
        unknown |= set(self.demo.systems) - systems
        if self.search and self.search.phase not in phases:
            raise ValueError(f'search.phase: expected a phase of this file, not "{self.search.phase}"')
        if unknown:
            raise ValueError(
                f"demo and charts: expected names of this file, not {', '.join(sorted(unknown))}"
            )
        if self.turns:
            self._turns_are_possible(self.turns, systems)
        uninvited = {who for phase in self.phases for who in phase.rates} - set(self.limits.users)
        if uninvited:
            raise ValueError(f"limits.users: expected a number for {', '.join(sorted(uninvited))}")
        return self

    def _turns_are_possible(self, turns: Turns, systems: set[str]) -> None:
        for where, groups in (("turns", turns.groups), ("demo", self.demo.groups)):
            named = [name for group in groups for name in group]
            if len(set(named)) < len(named) or set(named) - systems:
                raise ValueError(f"{where}.groups: expected systems of this file, each once")
        if turns.phase != self.phases[-1].name or any(phase.record for phase in self.phases[:-1]):
            raise ValueError("turns.phase: expected the last phase, and the only one that is recorded")
        if self.search or any(phase.action for phase in self.phases):
            raise ValueError("turns: expected neither a search nor an action beside them")

    def group_of(self, system: str) -> tuple[str, ...] | None:
        """The systems that take turns with this one, itself among them; None where it runs alone."""
        groups = self.turns.groups if self.turns else ()
        return next((group for group in groups if system in group), None)

    def slice_of(self, phase: PhaseText) -> float:
        """The cores each replica has in that phase, where its system says nothing else."""
        return self.slice_cores if phase.slice_cores is None else phase.slice_cores

    def plain_phases(self) -> list[PhaseText]:
        """The phases of an ordinary trial: all but the one that a search runs."""
        return [phase for phase in self.phases if not self.search or phase.name != self.search.phase]

    def searched_phases(self) -> list[PhaseText]:
        """The phases of one probe of the search: what warms up before it, and the searched one."""
        names = [phase.name for phase in self.phases]
        last = names.index(self.search.phase) if self.search else -1
        return [phase for phase in self.phases[: last + 1] if not phase.record or phase.name == names[last]]

    def short(self) -> "Experiment":
        """The demo's form of this experiment."""
        demo = self.demo
        phases = tuple(
            each.model_copy(update={"seconds": demo.seconds.get(each.name, each.seconds)})
            for each in self.phases
        )
        limits = {
            "timeout_seconds": demo.timeout_seconds or self.limits.timeout_seconds,
            "drain_seconds": demo.drain_seconds or self.limits.drain_seconds,
        }
        systems = tuple(each for each in self.systems if not demo.systems or each.id in demo.systems)
        turns = self.turns and self.turns.model_copy(update={"groups": demo.groups or self.turns.groups})
        return self.model_copy(
            update={
                "repeats": demo.repeats,
                "slice_cores": demo.slice_cores or self.slice_cores,
                "phases": phases,
                "systems": systems,
                "turns": turns,
                "limits": self.limits.model_copy(update=limits),
            }
        )


def parse(text: str, file: str, folder: Path | None = None) -> Experiment:
    """An experiment from TOML text; `file` is what its errors call it, `folder` where its other files are."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExperimentError(f"{file}: not TOML: {error}") from error
    reading = Reading(folder, {file: text})
    try:
        experiment = Experiment.model_validate(data, context=reading)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        ours = first["msg"].removeprefix("Value error, ")
        expected = ours if ours != first["msg"] else f"{ours[0].lower()}{ours[1:]}"
        raise ExperimentError(f"{file}: {key}: {expected}") from error
    experiment.texts.update(reading.texts)
    return experiment


def load(name: str, folder: Path = FOLDER) -> Experiment:
    """The experiment of that name, or of that TOML file; ExperimentError names those that there are."""
    own = Path(name)
    file = own if own.suffix == ".toml" else folder / f"{name}.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        if file == own:
            raise ExperimentError(f"{name} cannot be read: {error.strerror}.") from error
        raise ExperimentError(
            f'There is no experiment "{name}"; there are {", ".join(names(folder))}, and any TOML file like theirs.'
        ) from error
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{file.name}: not TOML: {error}") from error
    experiment = parse(text, file.name, file.parent)
    if experiment.name != file.stem:
        raise ExperimentError(f'{file.name}: name: expected "{file.stem}", as the file is called')
    return experiment


def names(folder: Path = FOLDER) -> list[str]:
    """All experiments that there are."""
    return sorted(file.stem for file in folder.glob("*.toml"))

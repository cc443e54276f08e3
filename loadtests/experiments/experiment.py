"""An experiment as data, read from a TOML file: question, expectation and reason, systems, phases, claims.

An invalid file is refused. The message names the file, the key and what was expected there.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from loadtests.experiments.claims import Chart, Claim
from loadtests.experiments.files import Files
from loadtests.experiments.parts import Cores, Demand, Limits, Part, SearchSpec, ShortForm, System, Turns
from loadtests.experiments.phase import PhaseSpec
from loadtests.experiments.toml_text import TomlError, read_toml

FOLDER = Path(__file__).parent


class ExperimentError(Exception):
    """An experiment that cannot be used. The message names the file, the key and what was expected."""


class Experiment(Part):
    """One experiment, as its file says."""

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
    phases: Annotated[tuple[PhaseSpec, ...], Field(min_length=1)]
    search: SearchSpec | None = None
    turns: Turns | None = None
    demand: Demand | None = None
    claims: tuple[Claim, ...]
    charts: tuple[Chart, ...] = ()
    demo: ShortForm
    _texts: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """The files that it was read from, name to text. A run keeps them with its results."""
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
        if self.search and self.search.phase not in phases:
            raise ValueError(f'search.phase: expected a phase of this file, not "{self.search.phase}"')
        self._check_demand(phases)
        self._check_form(systems, phases)
        if self.turns:
            self._check_turns(self.turns, systems)
        unlimited = {persona for phase in self.phases for persona in phase.rates} - set(self.limits.users)
        if unlimited:
            raise ValueError(f"limits.users: expected a number for {', '.join(sorted(unlimited))}")
        return self

    def _check_form(self, systems: set[str], phases: set[str]) -> None:
        of_charts = (name for chart in self.charts for name in chart.phases)
        unknown = {*self.demo.seconds, *self.demo.leave_out, *of_charts} - phases
        unknown |= set(self.demo.systems) - systems
        if unknown:
            raise ValueError(
                f"demo and charts: expected names of this file, not {', '.join(sorted(unknown))}"
            )

    def _check_demand(self, phases: set[str]) -> None:
        if self.demand and self.demand.capacity not in phases:
            raise ValueError(f'demand.capacity: expected a phase of this file, not "{self.demand.capacity}"')
        is_complete = self.demand and any(phase.follow for phase in self.phases)
        if any(each.following for each in self.systems) and not is_complete:
            raise ValueError("following: expected [demand], and a phase that says follow = true")

    def _check_turns(self, turns: Turns, systems: set[str]) -> None:
        for where, groups in (("turns", turns.groups), ("demo", self.demo.groups)):
            named = [name for group in groups for name in group]
            if len(set(named)) < len(named) or set(named) - systems:
                raise ValueError(f"{where}.groups: expected systems of this file, each once")
        if turns.phase != self.phases[-1].name or any(phase.record for phase in self.phases[:-1]):
            raise ValueError("turns.phase: expected the last phase, and the only one that is recorded")
        if self.search or any(phase.action for phase in self.phases):
            raise ValueError("turns: expected neither a search nor an action beside them")

    def group_of(self, system: str) -> tuple[str, ...] | None:
        """The group of systems that this one takes turns with, itself included; None for a system that runs alone."""
        groups = self.turns.groups if self.turns else ()
        return next((group for group in groups if system in group), None)

    def slice_of(self, phase: PhaseSpec) -> float:
        """The cores of each replica in that phase, where the system sets no other slice."""
        return self.slice_cores if phase.slice_cores is None else phase.slice_cores

    def plain_phases(self) -> list[PhaseSpec]:
        """The phases of an ordinary trial: all except the one of the search."""
        return [phase for phase in self.phases if not self.search or phase.name != self.search.phase]

    def searched_phases(self) -> list[PhaseSpec]:
        """The phases of a trial of the search: the unrecorded ones before its phase, and that phase."""
        names = [phase.name for phase in self.phases]
        last = names.index(self.search.phase) if self.search else -1
        return [phase for phase in self.phases[: last + 1] if not phase.record or phase.name == names[last]]

    def without_turns(self) -> "Experiment":
        """The same, with one system after another: for a shop that cannot run several times at once."""
        return self.model_copy(update={"turns": None})

    def short(self) -> "Experiment":
        """The short form of this experiment, as the demo runs it."""
        demo = self.demo
        phases = tuple(
            each.model_copy(update={"seconds": demo.seconds.get(each.name, each.seconds)})
            for each in self.phases
            if each.name not in demo.leave_out
        )
        charts = tuple(
            each.model_copy(
                update={"phases": tuple(name for name in each.phases if name not in demo.leave_out)}
            )
            for each in self.charts
        )
        limits = {
            "timeout_seconds": demo.timeout_seconds or self.limits.timeout_seconds,
            "drain_seconds": demo.drain_seconds or self.limits.drain_seconds,
        }
        systems = tuple(each for each in self.systems if not demo.systems or each.id in demo.systems)
        left_out = {each.id for each in self.systems} - {each.id for each in systems}
        turns = self.turns and self.turns.model_copy(update={"groups": demo.groups or self.turns.groups})
        return self.model_copy(
            update={
                "repeats": demo.repeats,
                "slice_cores": demo.slice_cores or self.slice_cores,
                "phases": phases,
                "systems": systems,
                "turns": turns,
                "charts": charts,
                "claims": tuple(
                    each
                    for each in self.claims
                    if not each.systems & left_out and not each.phases & set(demo.leave_out)
                ),
                "limits": self.limits.model_copy(update=limits),
            }
        )


def parse(text: str, file: str, folder: Path | None = None) -> Experiment:
    """The experiment of a TOML text.

    `file` is its name in messages, and `folder` holds the other files that it names. ExperimentError for an invalid
    text.
    """
    try:
        data = read_toml(text)
    except TomlError as error:
        raise ExperimentError(f"{file}: not TOML: {error}") from error
    files = Files(folder, {file: text})
    try:
        experiment = Experiment.model_validate(data, context=files)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        ours = first["msg"].removeprefix("Value error, ")
        expected = ours if ours != first["msg"] else f"{ours[0].lower()}{ours[1:]}"
        raise ExperimentError(f"{file}: {key}: {expected}") from error
    experiment.texts.update(files.texts)
    return experiment


def load(name: str, folder: Path = FOLDER) -> Experiment:
    """The experiment of that name in `folder`, or of the TOML file at that path.

    ExperimentError for an invalid file, and for an unknown name; it lists the known ones.
    """
    own = Path(name)
    file = own if own.suffix == ".toml" else folder / f"{name}.toml"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        if file == own:
            raise ExperimentError(f"{name} cannot be read: {error.strerror}.") from error
        raise ExperimentError(
            f'There is no experiment "{name}". Choose one of {", ".join(names(folder))}, or name your own TOML file.'
        ) from error
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{file.name}: not UTF-8 ({error}); save it as UTF-8.") from error
    experiment = parse(text, file.name, file.parent)
    if experiment.name != file.stem:
        raise ExperimentError(f'{file.name}: name: expected "{file.stem}", as the file is called')
    return experiment


def names(folder: Path = FOLDER) -> list[str]:
    """The names of all experiments in `folder`, sorted."""
    return sorted(file.stem for file in folder.glob("*.toml"))

"""The order of trials: each repeat runs every system once, in an order drawn from the seed.

If all trials of one shop came first, a change in the machine's speed over time would look like a difference between
the shops. The demo shares trials: a system that several experiments need starts once per repeat and runs the phases of
all of them.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.parts import System
from loadtests.experiments.phase import PhaseSpec
from loadtests.planning.capacity import shifted_start
from loadtests.planning.phases import PlannedAction, PlannedPhase
from loadtests.planning.trials import Trial, canonical
from loadtests.planning.turns import take_turns


def plan(experiments: Sequence[Experiment], *, share: bool) -> list[Trial]:
    """All trials in order. With `share`, equal systems of different experiments share one trial per repeat.

    Trials that take turns are never shared, and follow each other in the list.
    """
    trials: list[Trial] = []
    groups: Iterable[Sequence[Experiment]] = [experiments] if share else [[each] for each in experiments]
    for group in groups:
        for repeat in range(1, max(each.repeats for each in group) + 1):
            drawn = _trials_of_repeat(group, repeat)
            random.Random(f"{group[0].seed}:{repeat}").shuffle(drawn)
            trials += chain.from_iterable(drawn)
    for order, trial in enumerate(trials, start=1):
        trial.order = order
    return trials


def _trials_of_repeat(experiments: Sequence[Experiment], repeat: int) -> list[list[Trial]]:
    """The trials of one repeat in lists: those that take turns share a list, every other trial has its own."""
    found: dict[object, list[Trial]] = {}
    for experiment in experiments:
        if repeat > experiment.repeats:
            continue
        groups: dict[str, list[Trial]] = {}
        for system in experiment.systems:
            same = (
                system.system,
                str(canonical(system.replicas)),
                system.products,
                str(system.slices),
                str(system.route),
                str(system.following),
                system.variant,
            )
            if group := experiment.group_of(system.id):
                trial = _trial(experiment, system, repeat, f"{experiment.name}:{group[0]}:{repeat}")
                groups[trial.group] = found.setdefault(trial.group, [])
                groups[trial.group].append(trial)
                _add_phases(trial, experiment, system, experiment.phases)
            elif any(phase.record for phase in experiment.plain_phases()):
                (trial,) = found.setdefault(same, [_trial(experiment, system, repeat)])
                _add_phases(trial, experiment, system, experiment.plain_phases())
            if experiment.search:
                probe = _trial(experiment, system, repeat)
                _add_phases(probe, experiment, system, experiment.searched_phases())
                start = shifted_start(
                    experiment.search.start,
                    experiment.search.least,
                    experiment.search.most,
                    seed=f"{experiment.seed}:{system.id}:{repeat}",
                )
                found[*same, "probe"] = [probe.at_rate(experiment, start)]
        if experiment.turns:
            for trials in groups.values():
                take_turns(trials, experiment.turns)
    return list(found.values())


def _trial(experiment: Experiment, system: System, repeat: int, group: str = "") -> Trial:
    return Trial(
        system.system,
        canonical(system.replicas),
        system.label,
        repeat,
        id=system.id,
        products=system.products,
        route=system.route_facts,
        following=_following(experiment, system),
        variant=system.variant,
        group=group,
        seed=f"{experiment.seed}:{repeat}",
    )


def _following(experiment: Experiment, system: System) -> dict[str, Any] | None:
    if system.following is None or experiment.demand is None:
        return None
    return system.following.facts | {"demand": experiment.demand.model_dump()}


def _add_phases(trial: Trial, experiment: Experiment, system: System, phases: Iterable[PhaseSpec]) -> None:
    limits = experiment.limits
    trial.timeout_seconds = max(trial.timeout_seconds, limits.timeout_seconds)
    trial.drain_seconds = max(trial.drain_seconds, limits.drain_seconds)
    for persona, count in limits.users.items():
        trial.users[persona] = max(trial.users.get(persona, 0), count)
    trial.phases += [_planned(experiment, phase, system) for phase in phases]


def _planned(experiment: Experiment, phase: PhaseSpec, system: System) -> PlannedPhase:
    replicas = max(system.replicas.values(), default=1)
    action = phase.action
    return PlannedPhase(
        experiment.name,
        phase.name,
        phase.seconds,
        {str(persona): rate for persona, rate in phase.rates.items()},
        phase.shape,
        {str(persona): count * replicas for persona, count in phase.in_flight_per_replica.items()},
        experiment.slice_of(phase),
        phase.record,
        phase.overload,
        _saturated(phase, system),
        phase.points,
        phase.curve.only if phase.curve else (),
        {} if phase.slice_cores else system.slices,
        PlannedAction(action.what, action.of[system.system], action.at)
        if action and system.system in action.of
        else None,
        experiment.limits.promise_ms,
        phase.follow,
    )


def _saturated(phase: PhaseSpec, system: System) -> tuple[str, ...]:
    """The services of this system that must use up their slice in the phase."""
    if system.system != "monolith":
        # A learner's split still has a service called monolith, and there another service is to be saturated.
        return tuple(name for name in phase.saturates if name != "monolith")
    if "monolith" not in phase.saturates:
        return ()
    if system.route is None:
        return ("monolith",)
    # A second pool gets the load of the hot path alone. A limit is there to keep a part of the slice free.
    return (system.route.pool,) if system.route.pool else ()


def system_of(experiment: Experiment, facts: Mapping[str, Any]) -> System | None:
    """The experiment's system that a trial ran, found from the facts of the trial; None if there is none.

    The id does not always decide. A trial that several experiments shared has the id of the first one, and trials of
    older versions have no id. There the first system with the same shop, replicas and products is the answer.
    """
    same = [each for each in experiment.systems if _matches(each, facts)]
    named = [each for each in same if each.id == facts.get("id")]
    return next(iter(named or same), None)


def _matches(system: System, facts: Mapping[str, Any]) -> bool:
    return (
        system.system == facts["system"]
        and canonical(system.replicas) == canonical(facts["replicas"])
        and system.products == facts.get("products")
        and system.route_facts == facts.get("route")
    )

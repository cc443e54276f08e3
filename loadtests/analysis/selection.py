"""Which results count: per system, phase and repeat the first valid attempt, or the answer of a search. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.searches import found_capacity
from loadtests.experiments.experiment import Experiment
from loadtests.planning.plan import system_of

Selected = Mapping[tuple[str, str], Mapping[int, PhaseResult]]
"""(system id, phase) → repeat → the valid result that counts."""


def select(experiment: Experiment, measured: Iterable[PhaseResult], *, with_void: bool = False) -> Selected:
    """The results of one experiment that count. Where nothing is left out (`with_void`), the first attempts do.

    Of several attempts at a repeat the first valid one counts. Trials that took turns share the speed of the machine,
    which cancels in their ratios. So an attempt counts first in which all of them were valid.
    """
    results = [replace(each, doubts=[]) for each in measured] if with_void else list(measured)
    void = {result.attempt for result in results if result.doubts and result.attempt}
    valid: dict[tuple[str, str], dict[int, list[PhaseResult]]] = {}
    for result in sorted(results, key=lambda result: result.attempt in void):
        system = system_of(experiment, vars(result))
        if system is not None and not result.doubts:
            valid.setdefault((system.id, result.phase), {}).setdefault(result.repeat, []).append(result)
    return {
        key: {
            repeat: chosen
            for repeat, candidates in repeats.items()
            if (chosen := _choose(experiment, key[1], candidates)) is not None
        }
        for key, repeats in valid.items()
    }


def _choose(experiment: Experiment, phase: str, candidates: Sequence[PhaseResult]) -> PhaseResult | None:
    """The first candidate; of a search's probes, the one that stands for the capacity."""
    if experiment.search is None or phase != experiment.search.phase:
        return candidates[0]
    return found_capacity(experiment, candidates)


def by_repeat(selected: Selected, name: str) -> Mapping[int, PhaseResult]:
    """The results of a measurement that is named `system/phase`, by repeat; empty if there are none."""
    system, _, phase = name.partition("/")
    return selected.get((system, phase), {})

"""The second half of the lab's test of itself: real shops, faults and slices. `loadtests selftest --real`, minutes.

The first half knows what its simulated trials contain. Here real processes lose their CPU, are killed or are freed
from their slices from outside while a real trial runs, and the lab must notice it from the trial's files alone. What is
easy to get wrong: on a machine where every trial is void, a void trial proves nothing. So an undisturbed trial comes
first, and it must be trusted.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtests.analysis.measure import measure
from loadtests.analysis.results import analyse
from loadtests.analysis.stats import Verdict
from loadtests.planning.trials import Trial
from loadtests.rig import slices
from loadtests.rig.generator import TrialError
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.trial import Rig
from loadtests.running.gate import GateError, same_work
from loadtests.selftest.checks import Check
from loadtests.selftest.disturbances import Disturb, free_replica, kill_replica, starve_generator
from loadtests.selftest.real_trials import EXPERIMENT, DearerTarget, RealLab
from loadtests.selftest.statistics import SLOWER
from microservices.launcher import MONOLITH, LauncherError

GATE_REQUESTS = 60
FAILURES = {"cgroup2": "moved out of its control group", "cgroup1": "moved out of its control group"}


def real_checks(seed: int, backend: str | None = None) -> Iterator[Check]:
    """All checks, with this slice backend, or without one with that which a run would take."""
    with ExitStack() as cleaning:
        home = Path(cleaning.enter_context(tempfile.TemporaryDirectory(prefix="shop-selftest-")))
        slicer = cleaning.enter_context(closing(slices.open_backend(backend) if backend else slices.detect()))
        ManagedTarget("monolith", MONOLITH).seed(home, [None])
        lab = RealLab(home, slicer, seed)
        yield from _refusals(lab)
        yield from _gates(lab)
        yield from _truths(lab)


def _refusals(lab: RealLab) -> Iterator[Check]:
    """An undisturbed trial is trusted, and each disturbed one is void for the right reason."""
    good = next(each for each in lab.trials(lab.seed) if each.id == "shop")
    trusted = lab.run_until_valid(good)
    because = (
        "Real processes, no disturbance." if trusted else f"Is the machine busy? {'; '.join(lab.reasons)}"
    )
    found = "trusted" if trusted else "void"
    yield Check("An undisturbed real trial is trusted", found, trusted is not None, because)
    late = "ms late (p99): it had too little CPU"
    yield _void(lab, good, "A real generator with too little CPU", late, starve_generator)
    yield _killed(lab, good)
    for each in slices.BACKENDS:
        if each != "none":
            yield from _slice_not_kept(lab, good, each)


def _slice_not_kept(lab: RealLab, good: Trial, backend: str) -> Iterator[Check]:
    """A slice that is not kept; no check where this backend does not work."""
    try:
        slicer = slices.open_backend(backend)
    except slices.SliceError:
        return
    with closing(slicer):
        how = FAILURES.get(backend, "its governor paused")
        name = f"A slice that is not kept ({backend}: {how})"
        other = RealLab(lab.home, slicer, lab.seed, lab.numbers)
        yield _void(other, good, name, "more than its slice of 0.25", free_replica(slicer))


def _void(lab: RealLab, trial: Trial, name: str, reason: str, disturb: Disturb) -> Check:
    """The disturbed trial must be void with a doubt that contains `reason`."""
    try:
        doubts = [doubt for result in measure(lab.run(trial, disturb)) for doubt in result.doubts]
    except (TrialError, LauncherError) as error:
        return Check(name, "failed", False, str(error))
    found = [doubt for doubt in doubts if reason in doubt]
    because = "; ".join(found or doubts) or "No reason was given."
    return Check(name, "void" if doubts else "trusted", bool(found), because)


def _killed(lab: RealLab, trial: Trial) -> Check:
    """A shop whose replica was killed must be told so. That is the shop's result, so this alone voids nothing.

    A dead replica does not use up its slice, and where the phase should, the trial is void for that reason.
    """
    name, reason = "A replica that is killed is told", "a process ended during the trial: monolith-1: "
    try:
        results = measure(lab.run(trial, kill_replica))
    except (TrialError, LauncherError) as error:
        return Check(name, "failed", False, str(error))
    told = [remark for result in results for remark in result.remarks if reason in remark]
    return Check(name, "told" if told else "not told", bool(told), "; ".join(told) or "No remark was made.")


def _gates(lab: RealLab) -> Iterator[Check]:
    """A shop and a copy of it pass the gate; one whose prices are a cent higher is refused, with the place."""
    templates = lab.home / "templates"
    shutil.copytree(templates / "monolith", templates / "microservices")
    first, second = ManagedTarget("monolith", MONOLITH), replace(MONOLITH, name="another")
    for name, other, place in (
        ("Two shops with the same answers pass the gate", ManagedTarget("microservices", second), ""),
        ("A shop with different prices is refused", DearerTarget("microservices", second), "price_cents"),
    ):
        rig = Rig(lab.home, {"monolith": first, "microservices": other}, lab.slicer)
        try:
            same_work(rig, GATE_REQUESTS, lab.seed)
            message = ""
        except GateError as error:
            message = str(error)
        right = "give different answers" in message and place in message if place else not message
        yield Check(name, "refused" if message else "passed", right, message or "No difference.")


def _truths(lab: RealLab) -> Iterator[Check]:
    """A shop against itself has no winner; against one with four fifths of its slice it is 1.25 times as fast."""
    same, slower = _verdicts(lab, lab.seed)
    for name, number, verdict, right in (
        ("A real shop against itself has no winner", 0, same, _no_winner),
        (
            f"A real shop {SLOWER - 1:.0%} slower is found, and the interval contains {SLOWER}",
            1,
            slower,
            _found,
        ),
    ):
        first = "" if right(verdict) else f" At first {_shown(verdict)}."
        # One interval in twenty misses by design, so a miss is measured again; two in a row are hardly chance.
        final = verdict if not first else _verdicts(lab, lab.seed + 1000)[number]
        count = len(lab.reasons)
        void = (
            f" {count} doubts about trials that were repeated, the last: {lab.reasons[-1]}." if count else ""
        )
        yield Check(name, _shown(final), right(final), f"{EXPERIMENT.repeats} real repeats.{first}{void}")


def _verdicts(lab: RealLab, seed: int) -> list[dict[str, Any]]:
    trials = [raw for each in lab.trials(seed) if (raw := lab.run_until_valid(each))]
    machine = {"slice_backend": lab.slicer.backend}
    return list(analyse(machine, [EXPERIMENT], trials)["experiments"][0]["verdicts"])


def _no_winner(verdict: dict[str, Any]) -> bool:
    return bool(verdict["verdict"] == Verdict.NO_WINNER)


def _found(verdict: dict[str, Any]) -> bool:
    return bool(verdict["verdict"] == Verdict.SUPPORTED and verdict["low"] <= SLOWER <= verdict["high"])


def _shown(verdict: dict[str, Any]) -> str:
    if None in (verdict["low"], verdict["high"]):
        return "too few valid trials"
    return f"{verdict['ratio']:.2f} ({verdict['low']:.2f} to {verdict['high']:.2f})"

"""The lab proves itself, second half: real shops, real faults, real slices. `loadtests selftest --real`, some minutes.

The first half knows what its trials hold because it made them up. Here real processes are starved, killed and let off
their slices from outside, while a real trial runs, and the lab must notice from its files alone. What is easy to get
wrong: that a spoilt trial is void proves nothing on a machine where every trial is, so an unspoilt one comes first.
"""

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial, read_trial
from loadtests.analysis.results import analyse, is_valid
from loadtests.analysis.stats import Verdict
from loadtests.experiments.experiment import parse
from loadtests.load import moments
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.rig import slices
from loadtests.rig.generator import TrialError
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.processes import group_pids
from loadtests.rig.shop import Shop
from loadtests.rig.trial import Rig, run_trials
from loadtests.running.gate import GateError, same_work
from loadtests.selftest.alter import altered
from loadtests.selftest.statistics import SLOWER, Check
from microservices.launcher import MONOLITH, LauncherError, Replica

ATTEMPTS = 3
SPOILT_SECONDS = 2.5
STARVED_CORES = 0.005  # less than the few milliseconds a second that this load costs it
PATIENCE_SECONDS = 60.0
GATE_REQUESTS = 60
LET_OFF = {"cgroup2": "moved out of its control group", "cgroup1": "moved out of its control group"}
TEXT = """
name = "selftest"
question = "Does the lab find, with real processes, what was put in?"
expect = "Yes."
because = "It was put in."
seed = 1
repeats = 5
slice_cores = 0.25

[limits]
timeout_seconds = 5
drain_seconds = 1
users = { recommendation-widget = 4 }

[[systems]]
id = "shop"
label = "monolith"
system = "monolith"

[[systems]]
id = "again"
label = "the same monolith"
system = "monolith"
slices = { monolith = 0.25 }

[[systems]]
id = "slower"
label = "the same monolith on four fifths of the slice"
system = "monolith"
slices = { monolith = 0.2 }

[[phases]]
name = "warm-up"
seconds = 1.5
slice_cores = 1.0
record = false
overload = true
in_flight_per_replica = { recommendation-widget = 3 }
rates = { recommendation-widget = 400 }

[[phases]]
name = "overload"
seconds = 4
overload = true
saturates = ["monolith"]
in_flight_per_replica = { recommendation-widget = 3 }
rates = { recommendation-widget = 400 }

[[claims]]
side = "claim"
claim = "A shop against itself"
statement = "The shop answers {ratio} times as many as itself."
metric = "throughput_rps"
of = ["shop/overload"]
over = ["again/overload"]

[[claims]]
side = "claim"
claim = "A known difference"
statement = "The shop answers {ratio} times as many as with four fifths of its slice."
metric = "throughput_rps"
of = ["shop/overload"]
over = ["slower/overload"]

[demo]
repeats = 1
seconds = {}
"""

Spoil = Callable[[Shop, Path], AbstractContextManager[None]]
"""Spoils a running trial, given its shop and its folder, for as long as the context lasts."""


@dataclass(frozen=True)
class Spoilt(ManagedTarget):
    """A shop to which something is done in the middle of the measured phase."""

    folder: Path = Path()
    spoil: Spoil | None = None

    @contextmanager
    def open(self, trial: Trial, home: Path, on_ready: Callable[[Replica], None]) -> Iterator[Any]:
        """As usual, with a thread beside it that waits for its moment."""
        with super().open(trial, home, on_ready) as shop:
            thread = threading.Thread(target=self._spoil, args=(shop,), daemon=True)
            thread.start()
            yield shop
            thread.join(PATIENCE_SECONDS)

    def _spoil(self, shop: Shop) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while self.spoil and time.monotonic() < until:
            now = moments.last(self.folder)
            if now and now.phase == "overload":
                with self.spoil(shop, self.folder):
                    time.sleep(SPOILT_SECONDS)
                return
            time.sleep(0.05)


@dataclass
class Lab:
    """A place for real trials: data, a way of slicing, and a folder for each trial."""

    home: Path
    slicer: slices.Slices
    seed: int
    numbers: Iterator[int] = field(default_factory=count)
    void: list[str] = field(default_factory=list)
    """Why trials that were to be valid were not, newest last."""

    def run(self, trial: Trial, spoil: Spoil | None = None) -> RawTrial:
        """Run a trial and read it back from its files."""
        folder = self.home / "trials" / str(next(self.numbers))
        shop = Spoilt("monolith", MONOLITH, folder=folder, spoil=spoil)
        run_trials([(trial, folder)], Rig(self.home, {"monolith": shop}, self.slicer))
        return read_trial(folder)

    def valid(self, trial: Trial) -> RawTrial | None:
        """The same, void ones repeated as often as a run would."""
        for _ in range(ATTEMPTS):
            try:
                raw = self.run(trial)
            except (TrialError, LauncherError) as error:
                self.void.append(str(error))
                continue
            if is_valid(raw):
                return raw
            self.void += [doubt for result in measure(raw) for doubt in result.doubts]
        return None

    def trials(self, seed: int) -> list[Trial]:
        """All trials of the experiment above in the order that the seed gives."""
        return plan([experiment.model_copy(update={"seed": seed})], share=False)


experiment = parse(TEXT, "selftest.toml")


def real(seed: int, backend: str | None = None) -> Iterator[Check]:
    """All checks, one after the other; with the way of slicing that a run would take, unless one is named."""
    with ExitStack() as cleaning:
        home = Path(cleaning.enter_context(tempfile.TemporaryDirectory(prefix="shop-selftest-")))
        slicer = cleaning.enter_context(closing(slices.open_backend(backend) if backend else slices.detect()))
        ManagedTarget("monolith", MONOLITH).seed(home, [None])
        lab = Lab(home, slicer, seed)
        yield from _refusals(lab)
        yield from _gates(lab)
        yield from _truths(lab)


def _refusals(lab: Lab) -> Iterator[Check]:
    """A good trial is trusted, and each spoilt one void in the right words."""
    good = next(each for each in lab.trials(lab.seed) if each.id == "shop")
    trusted = lab.valid(good)
    said = "Real processes, nothing spoilt." if trusted else f"Is this machine busy? {'; '.join(lab.void)}"
    yield Check(
        "A real trial in good order is trusted", "trusted" if trusted else "void", trusted is not None, said
    )
    for name, words, spoil in (
        ("A generator that is starved of CPU for real", "ms late (p99): it had too little CPU", _starve),
        ("A replica that is killed in mid-trial", "a process ended during the trial: monolith-1: ", _kill),
    ):
        yield _void(lab, good, name, words, spoil)
    for each in slices.BACKENDS:
        if each != "none":
            yield from _let_off(lab, good, each)


def _let_off(lab: Lab, good: Trial, backend: str) -> Iterator[Check]:
    """A slice that is not kept, by each way of slicing that works here."""
    try:
        slicer = slices.open_backend(backend)
    except slices.SliceError:
        return
    with closing(slicer):
        how = LET_OFF.get(backend, "its governor paused")
        name = f"A slice that is not kept ({backend}: {how})"
        other = Lab(lab.home, slicer, lab.seed, lab.numbers)
        yield _void(other, good, name, "more than its slice of 0.25", _freer(slicer))


def _void(lab: Lab, trial: Trial, name: str, words: str, spoil: Spoil) -> Check:
    try:
        doubts = [doubt for result in measure(lab.run(trial, spoil)) for doubt in result.doubts]
    except (TrialError, LauncherError) as error:
        return Check(name, "failed", False, str(error))
    found = [doubt for doubt in doubts if words in doubt]
    because = "; ".join(found or doubts) or "Nothing was said."
    return Check(name, "void" if doubts else "trusted", bool(found), because)


@contextmanager
def _starve(_shop: Shop, folder: Path) -> Iterator[None]:
    """Leave the generator next to no CPU."""
    (generator,) = (
        each for each in psutil.Process().children() if str(folder / "spec.json") in each.cmdline()
    )
    with closing(slices.open_backend("governor")) as slicer:  # a control group cannot give so little
        slicer.put("starved", generator.pid, STARVED_CORES)
        yield


@contextmanager
def _kill(shop: Shop, _folder: Path) -> Iterator[None]:
    os.killpg(shop.replicas()[0].pid, signal.SIGKILL)
    yield


def _freer(slicer: slices.Slices) -> Spoil:
    """Lets a replica off its slice, in the way that this slicer could fail."""

    @contextmanager
    def free(shop: Shop, _folder: Path) -> Iterator[None]:
        replica = shop.replicas()[0].pid
        if isinstance(slicer, slices.CgroupSlices):
            for pid in group_pids(replica):
                (slicer.parent / "cgroup.procs").write_text(str(pid))
            yield
        elif isinstance(slicer, slices.GovernorSlices):
            os.kill(slicer.pid, signal.SIGSTOP)
            try:
                os.killpg(replica, signal.SIGCONT)
                yield
            finally:
                os.kill(slicer.pid, signal.SIGCONT)

    return free


@dataclass(frozen=True)
class Altered(ManagedTarget):
    """A shop behind a proxy that answers one route differently."""

    @contextmanager
    def open(self, trial: Trial, home: Path, on_ready: Callable[[Replica], None]) -> Iterator[Any]:
        """As usual, and the address of the proxy in place of its own."""
        with super().open(trial, home, on_ready) as shop, altered(shop.url) as proxy:
            yield proxy


def _gates(lab: Lab) -> Iterator[Check]:
    """Two shops that are the same pass the gate; one whose prices are a cent higher is refused, with the place."""
    templates = lab.home / "templates"
    shutil.copytree(templates / "monolith", templates / "microservices")
    first, second = ManagedTarget("monolith", MONOLITH), replace(MONOLITH, name="another")
    for name, other, words in (
        ("Two shops that answer alike pass the gate", ManagedTarget("microservices", second), ""),
        ("A shop with another price is refused", Altered("microservices", second), "price_cents"),
    ):
        bench = Rig(lab.home, {"monolith": first, "microservices": other}, lab.slicer)
        try:
            same_work(bench, GATE_REQUESTS, lab.seed)
            said = ""
        except GateError as error:
            said = str(error)
        right = "give different answers" in said and words in said if words else not said
        yield Check(name, "refused" if said else "passed", right, said or "No difference.")


def _truths(lab: Lab) -> Iterator[Check]:
    """A shop against itself has no winner, and a slice smaller by a fifth is found as the 1.25 that it is."""
    same, slower = _verdicts(lab, lab.seed)
    for name, number, verdict, right in (
        ("A real shop against itself has no winner", 0, same, _no_winner),
        (f"A real shop {SLOWER - 1:.0%} slower is found, and the interval holds {SLOWER}", 1, slower, _found),
    ):
        again = "" if right(verdict) else f" At first {_said(verdict)}."
        # One interval in twenty misses by design; twice in a row is no luck.
        final = verdict if not again else _verdicts(lab, lab.seed + 1000)[number]
        void = f" {len(lab.void)} doubts on the way, the last: {lab.void[-1]}." if lab.void else ""
        yield Check(name, _said(final), right(final), f"{experiment.repeats} real repeats.{again}{void}")


def _verdicts(lab: Lab, seed: int) -> list[dict[str, Any]]:
    trials = [raw for each in lab.trials(seed) if (raw := lab.valid(each))]
    machine = {"slice_backend": lab.slicer.backend}
    return list(analyse(machine, [experiment], trials)["experiments"][0]["verdicts"])


def _no_winner(verdict: dict[str, Any]) -> bool:
    return bool(verdict["verdict"] == Verdict.NO_WINNER)


def _found(verdict: dict[str, Any]) -> bool:
    return bool(verdict["verdict"] == Verdict.SUPPORTED and verdict["low"] <= SLOWER <= verdict["high"])


def _said(verdict: dict[str, Any]) -> str:
    if None in (verdict["low"], verdict["high"]):
        return "too few valid trials"
    return f"{verdict['ratio']:.2f} ({verdict['low']:.2f} to {verdict['high']:.2f})"

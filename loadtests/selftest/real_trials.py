"""Real trials for the lab's test of itself: their experiment, and shops that are disturbed while they run."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial, read_trial
from loadtests.analysis.results import is_valid
from loadtests.experiments.experiment import parse
from loadtests.load import moments
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.rig import slices
from loadtests.rig.generator import TrialError
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.shop import Shop
from loadtests.rig.trial import Rig, run_trials
from loadtests.selftest.disturbances import Disturb
from loadtests.selftest.proxy import price_changing_proxy
from microservices.launcher import MONOLITH, LauncherError, Replica

ATTEMPTS = 3
DISTURBED_SECONDS = 2.5
TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
EXPERIMENT = parse(Path(__file__).with_name("real.toml").read_text(encoding="utf-8"), "real.toml")
MEASURED_PHASE = "overload"


@dataclass(frozen=True)
class DisturbedTarget(ManagedTarget):
    """A shop that is disturbed in the middle of the measured phase, if `disturb` is given."""

    folder: Path = Path()
    disturb: Disturb | None = None

    @contextmanager
    def open(self, trial: Trial, home: Path, on_ready: Callable[[Replica], None]) -> Iterator[Any]:
        """As a ManagedTarget, with a thread that waits for the measured phase."""
        with super().open(trial, home, on_ready) as shop:
            thread = threading.Thread(target=self._disturb_when_measured, args=(shop,), daemon=True)
            thread.start()
            yield shop
            thread.join(TIMEOUT_SECONDS)

    def _disturb_when_measured(self, shop: Shop) -> None:
        until = time.monotonic() + TIMEOUT_SECONDS
        while self.disturb and time.monotonic() < until:
            now = moments.last(self.folder)
            if now and now.phase == MEASURED_PHASE:
                with self.disturb(shop, self.folder):
                    time.sleep(DISTURBED_SECONDS)
                return
            time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class DearerTarget(ManagedTarget):
    """A shop behind a proxy that raises its prices by a cent."""

    @contextmanager
    def open(self, trial: Trial, home: Path, on_ready: Callable[[Replica], None]) -> Iterator[Any]:
        """As a ManagedTarget, but with the proxy's address."""
        with super().open(trial, home, on_ready) as shop, price_changing_proxy(shop.url) as proxy:
            yield proxy


@dataclass
class RealLab:
    """Runs real trials. `home` has the seeded data and gets a folder for each trial."""

    home: Path
    slicer: slices.Slices
    seed: int
    numbers: Iterator[int] = field(default_factory=count)
    reasons: list[str] = field(default_factory=list)
    """Why undisturbed trials were void or could not be run, the newest last."""

    def run(self, trial: Trial, disturb: Disturb | None = None) -> RawTrial:
        """Run a trial and read it back from its files; raises TrialError or LauncherError."""
        folder = self.home / "trials" / str(next(self.numbers))
        shop = DisturbedTarget("monolith", MONOLITH, folder=folder, disturb=disturb)
        run_trials([(trial, folder)], Rig(self.home, {"monolith": shop}, self.slicer))
        return read_trial(folder)

    def run_until_valid(self, trial: Trial) -> RawTrial | None:
        """Run a trial at most as often as a run of the lab would; None when no attempt was valid."""
        for _ in range(ATTEMPTS):
            try:
                raw = self.run(trial)
            except (TrialError, LauncherError) as error:
                self.reasons.append(str(error))
                continue
            if is_valid(raw):
                return raw
            self.reasons += [doubt for result in measure(raw) for doubt in result.doubts]
        return None

    def trials(self, seed: int) -> list[Trial]:
        """All trials of EXPERIMENT, in the order that the seed gives."""
        return plan([EXPERIMENT.model_copy(update={"seed": seed})], share=False)

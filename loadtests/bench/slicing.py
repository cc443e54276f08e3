"""How good slices are: how close busy processes stay to theirs, and what CPU it costs to keep them there."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from loadtests.bench.bars import Check
from loadtests.experiments.bar import Bar
from loadtests.rig import slices
from loadtests.rig.processes import cpu_seconds

CORES = 0.1
INSTANCES = (1, 8)
SETTLE_SECONDS = 0.5
BUSY = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
"""It ends after a minute, because the bench may be killed before it can end it."""
MAX_ERROR_PERCENT = 10.0
MAX_COST_PERCENT = 1.0


@dataclass(frozen=True)
class SliceQuality:
    """The largest distance of a process from its slice in percent; the governor's CPU per process in % of a core."""

    backend: str
    instances: int
    error_percent: float
    cost_percent: float


def checks(seconds: float) -> Iterator[Check]:
    """Every backend that works on this machine, with one busy process and with eight."""
    for backend in slices.BACKENDS:
        for instances in INSTANCES if backend != "none" else ():
            with contextlib.suppress(slices.SliceError):
                quality = measure(backend, instances, seconds)
                what = f"{backend}, {instances} busy process{'' if instances == 1 else 'es'}"
                error, cost = quality.error_percent, quality.cost_percent
                limit = Bar(at_most=MAX_ERROR_PERCENT)
                yield Check(f"slice of {CORES}: {what}, largest error", error, "%", limit)
                if backend == "governor":
                    limit = Bar(at_most=MAX_COST_PERCENT)
                    yield Check(f"{what}, cost per process", cost, "% of a core", limit)


def measure(backend: str, instances: int, seconds: float) -> SliceQuality:
    """Put so many busy processes on a slice each for so many seconds; SliceError where the backend does not work."""
    with ExitStack() as running:
        slicer = running.enter_context(closing(slices.open_backend(backend)))
        pids = [_busy(running) for _ in range(instances)]
        for number, pid in enumerate(pids):
            slicer.put(f"busy-{number}", pid, CORES)
        governor = [slicer.pid] if isinstance(slicer, slices.GovernorSlices) else []
        time.sleep(SETTLE_SECONDS)
        before, since = [cpu_seconds(pid) for pid in (*pids, *governor)], time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - since
        after = [cpu_seconds(pid) for pid in (*pids, *governor)]
        used = [(last - first) / elapsed for first, last in zip(before, after, strict=True)]
        error = max(abs(cores / CORES - 1) for cores in used[:instances])
        return SliceQuality(backend, instances, error * 100, sum(used[instances:]) / instances * 100)


def _busy(running: ExitStack) -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", BUSY], start_new_session=True)  # noqa: S603 - ours
    running.callback(process.wait)
    running.callback(process.kill)
    return process.pid

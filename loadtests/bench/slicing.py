"""What a slice is worth: whether busy processes get what was stated, and what keeping them to it costs."""

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
"""Not for ever: whoever started it may be killed before it ends it."""
MAX_OFF = 10.0
MAX_COST = 1.0


@dataclass(frozen=True)
class Kept:
    """How busy processes fared: the worst one's distance from its slice in percent, and CPU of the keeper for each."""

    backend: str
    instances: int
    off_percent: float
    cost_percent: float


def checks(seconds: float) -> Iterator[Check]:
    """Every way of slicing that works here, with one instance and with eight."""
    for backend in slices.BACKENDS:
        for instances in INSTANCES if backend != "none" else ():
            with contextlib.suppress(slices.SliceError):
                kept = measure(backend, instances, seconds)
                who = f"{backend}, {instances} busy process{'' if instances == 1 else 'es'}"
                yield Check(
                    f"slice of {CORES}: {who}, worst off by", kept.off_percent, "%", Bar(at_most=MAX_OFF)
                )
                if backend == "governor":
                    cost = kept.cost_percent
                    yield Check(f"{who}, cost of each", cost, "% of a core", Bar(at_most=MAX_COST))


def measure(backend: str, instances: int, seconds: float) -> Kept:
    """Keep so many busy processes to a slice each for a while; SliceError where this backend does not work."""
    with ExitStack() as running:
        slicer = running.enter_context(closing(slices.open_backend(backend)))
        pids = [_busy(running) for _ in range(instances)]
        for number, pid in enumerate(pids):
            slicer.put(f"busy-{number}", pid, CORES)
        keeper = [slicer.pid] if isinstance(slicer, slices.GovernorSlices) else []
        time.sleep(SETTLE_SECONDS)
        before, since = [cpu_seconds(pid) for pid in (*pids, *keeper)], time.perf_counter()
        time.sleep(seconds)
        elapsed = time.perf_counter() - since
        after = [cpu_seconds(pid) for pid in (*pids, *keeper)]
        used = [(last - first) / elapsed for first, last in zip(before, after, strict=True)]
        off = max(abs(cores / CORES - 1) for cores in used[:instances])
        return Kept(backend, instances, off * 100, sum(used[instances:]) / instances * 100)


def _busy(running: ExitStack) -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", BUSY], start_new_session=True)  # noqa: S603 - ours
    running.callback(process.wait)
    running.callback(process.kill)
    return process.pid

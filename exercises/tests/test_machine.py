"""A check compares the load with the CPUs that it may use."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from exercises.checks.machine import Watcher
from exercises.checks.readings import OurProcesses, Reading, Used, growth
from loadtests.rig import cpus

WORKER = "import time; [sum(range(9999)) for _ in iter(lambda: time.process_time() < 0.3, False)]; print(flush=True)"
PARENT = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {WORKER + "; time.sleep(60)"!r}], stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
worker.wait()
"""


def test_with_a_quota_others_disturb_only_with_what_they_take_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: 8)
    monkeypatch.setattr(cpus, "read_mounts", list)
    monkeypatch.setattr(cpus, "smallest_quota", lambda _mounts: 1.5)
    assert Watcher().cores == 1.5
    start = Reading(at=0.0, busy=0.0, stolen=0.0, ours=0.0)
    assert Reading(at=1.0, busy=6.0, stolen=0.0, ours=0.5).minus(start).others == 0.0
    assert Reading(at=1.0, busy=8.0, stolen=0.0, ours=0.5).minus(start).others == 1.0


@pytest.fixture
def worker() -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A parent of ours and its worker, which has used 0.3 s of CPU time."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    yield parent, child
    parent.kill()
    parent.wait()
    parent.stdout.close()
    if child.is_running():
        child.kill()


def test_the_work_of_a_worker_whose_parent_was_killed_counts_as_ours(worker) -> None:
    parent, child = worker
    ours = OurProcesses(psutil.Process())
    ours.read()
    parent.kill()
    parent.wait()
    assert child in ours._alive()
    assert ours.read() > 0
    assert child in ours._alive(), "it was forgotten after one reading"


PARENT_OF_ALL, ELDER, YOUNGER = "parent", "elder", "younger"


@pytest.mark.parametrize(
    ("before", "now", "seconds"),
    [
        ({PARENT_OF_ALL: Used(1, 0)}, {PARENT_OF_ALL: Used(3, 0)}, 2),
        # Waited for: the elder child's 5 s, of which 4 s were seen before, are now its parent's.
        ({PARENT_OF_ALL: Used(1, 0), ELDER: Used(4, 0)}, {PARENT_OF_ALL: Used(1, 5)}, 1),
        # Nobody waited for the elder child; the younger one worked on.
        ({PARENT_OF_ALL: Used(1, 0), ELDER: Used(4, 0), YOUNGER: Used(2, 0)}, {YOUNGER: Used(2.5, 0)}, 0.5),
        # A child that came and worked.
        ({PARENT_OF_ALL: Used(1, 0)}, {PARENT_OF_ALL: Used(1, 0), YOUNGER: Used(0.5, 0)}, 0.5),
    ],
)
def test_the_work_of_ended_children_is_neither_lost_nor_counted_twice(before, now, seconds) -> None:
    assert growth(before, now) == seconds


@pytest.mark.processes
def test_the_load_is_read_by_a_process_that_ends_with_the_block() -> None:
    began = time.monotonic()
    with Watcher() as watcher:
        deadline = began + 20
        while not watcher._windows:
            assert time.monotonic() < deadline, "no reading came"
            time.sleep(0.01)
        reader = watcher._reader.pid
        assert psutil.Process(reader).ppid() == psutil.Process().pid
    assert not psutil.pid_exists(reader)
    assert began < watcher._windows[0].at < time.monotonic()

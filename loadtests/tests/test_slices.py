"""Slices are tested on real busy processes, with every backend that works on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtests.analysis.validity import slice_doubt
from loadtests.bench.slicing import BUSY
from loadtests.rig import slices
from loadtests.rig.cpus import find_mounts
from loadtests.rig.governor import MAX_WAIT_SECONDS, PERIOD_SECONDS, Account
from loadtests.rig.processes import cpu_seconds
from loadtests.rig.slices.cgroups import (
    MIN_QUOTA_MICROSECONDS,
    PERIOD_MICROSECONDS,
    PREFIX,
    quota,
    remove_leftovers,
)


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", BUSY], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def free() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", BUSY], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(params=["cgroup2", "cgroup1", "governor"])
def backend(request: pytest.FixtureRequest) -> Iterator[slices.Slices]:
    try:
        opened = slices.open_backend(request.param)
    except slices.SliceError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


def cores_used(pid: int, seconds: float) -> float:
    used, since = cpu_seconds(pid), time.monotonic()
    let_time_pass(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - since)


def let_time_pass(seconds: float) -> None:
    """A share of CPU is measured over time; there is nothing to poll for."""
    time.sleep(seconds)


def cores_of_both(pids: tuple[int, int], seconds: float) -> tuple[float, float]:
    """Cores used by a sliced and a free process at the same time: other work on the machine slows both."""
    before, since = [cpu_seconds(pid) for pid in pids], time.monotonic()
    let_time_pass(seconds)
    elapsed = time.monotonic() - since
    one, other = [(cpu_seconds(pid) - start) / elapsed for pid, start in zip(pids, before, strict=True)]
    return one, other


@pytest.mark.processes
@pytest.mark.timed
def test_a_busy_process_is_kept_to_its_slice(
    backend: slices.Slices, busy: subprocess.Popen[bytes], free: subprocess.Popen[bytes]
) -> None:
    backend.put("busy", busy.pid, 0.2)
    used, possible = cores_of_both((busy.pid, free.pid), 1.5)
    assert slice_doubt("busy", 0.2, used, saturated=False) is None
    assert used > 0.9 * min(0.2, possible / 2)


@pytest.mark.processes
@pytest.mark.timed
def test_a_slice_can_be_changed_and_taken_off(
    backend: slices.Slices, busy: subprocess.Popen[bytes], free: subprocess.Popen[bytes]
) -> None:
    backend.put("busy", busy.pid, 0.05)
    assert cores_used(busy.pid, 0.7) < 0.1
    backend.put("busy", busy.pid, 0.3)
    used, possible = cores_of_both((busy.pid, free.pid), 0.7)
    assert used > min(0.15, possible / 2)
    backend.drop("busy")
    used, possible = cores_of_both((busy.pid, free.pid), 0.7)
    assert used > possible / 2


@pytest.mark.processes
def test_closing_resumes_a_paused_process(busy: subprocess.Popen[bytes]) -> None:
    governor = slices.open_backend("governor")
    governor.put("busy", busy.pid, 0.01)
    let_time_pass(0.1)
    governor.close()
    assert psutil.Process(busy.pid).status() != psutil.STATUS_STOPPED


def test_without_slices_nothing_is_limited_and_the_backend_is_named_none() -> None:
    backend = slices.open_backend("none")
    backend.put("any", os.getpid(), 0.1)
    backend.close()
    assert backend.backend == "none"


def test_detection_finds_a_backend_by_trying() -> None:
    backend = slices.detect()
    backend.close()
    assert backend.backend in slices.BACKENDS


def test_groups_of_a_lab_that_has_ended_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    (tmp_path / f"{PREFIX}{gone.pid}-catalog-1").mkdir()
    (tmp_path / f"{PREFIX}{os.getpid()}-catalog-1").mkdir()
    assert remove_leftovers(tmp_path) == 1
    assert [each.name for each in tmp_path.iterdir()] == [f"{PREFIX}{os.getpid()}-catalog-1"]


def test_both_versions_of_control_groups_are_found_where_they_are_mounted() -> None:
    mounts = (
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    )
    found = find_mounts(mounts, "3:cpu,cpuacct:/user/me\n2:memory:/\n0::/a/b\n")
    assert [mount.backend for mount in found] == ["cgroup2", "cgroup1"]
    assert found[1].own == Path("/sys/fs/cgroup/cpu,cpuacct/user/me")
    assert list(found[0].candidates()) == [
        Path("/sys/fs/cgroup/unified/a/b"),
        Path("/sys/fs/cgroup/unified/a"),
        Path("/sys/fs/cgroup/unified"),
    ]


@pytest.mark.parametrize(
    ("used", "saturated", "kept"),
    [(0.1, True, True), (0.109, True, True), (0.115, False, False), (0.02, False, True), (0.02, True, False)],
)
def test_a_slice_is_kept_within_ten_percent(used: float, *, saturated: bool, kept: bool) -> None:
    assert (slice_doubt("cart-1", 0.1, used, saturated=saturated) is None) == kept


def test_a_busy_group_runs_on_its_share_of_a_period_and_then_stands_still_for_the_rest_of_it() -> None:
    account, now, used = Account(cores=0.25, pids=[]), 0.0, 0.0
    ran = []
    for _ in range(12):
        now, running = account.due, not account.paused
        used += (now - account.checked_at) * running
        ran.append((round((now - account.checked_at) / PERIOD_SECONDS, 4), running))
        account.paused = account.settle(now, used)
    assert set(ran[4:]) == {(0.25, True), (0.75, False)}


def test_a_group_that_used_too_much_stands_still_until_its_credit_is_back() -> None:
    account = Account(cores=0.1, pids=[])
    account.paused = account.settle(0.030, used=0.030)
    assert account.paused
    assert account.settle(account.due - 0.001, used=0.030)
    assert not account.settle(account.due, used=0.030)
    assert account.due - account.checked_at < 0.1 * PERIOD_SECONDS + 0.001


def test_credit_does_not_grow_without_limit() -> None:
    account = Account(cores=0.1, pids=[])
    assert not account.settle(60.0, used=0.0)
    assert account.settle(60.0, used=1.2 * 0.1 * PERIOD_SECONDS)


def test_an_idle_group_is_checked_seldom_and_a_busy_one_when_its_share_is_used_up() -> None:
    account = Account(cores=0.1, pids=[])
    account.settle(60.0, used=0.0)
    assert account.due == pytest.approx(60.0 + MAX_WAIT_SECONDS)
    account.settle(60.001, used=0.001)
    assert account.due == pytest.approx(60.001 + (0.1 * PERIOD_SECONDS - 0.0009) / 0.9)


def test_a_group_with_a_whole_core_is_never_paused_and_always_checked_again() -> None:
    account = Account(cores=1.0, pids=[], credit=0.02)
    for n in range(1, 9):
        account.paused = account.settle(n * 0.008, used=n * 0.008)
        assert not account.paused
        assert account.due > account.checked_at


@pytest.mark.processes
@pytest.mark.timed
def test_eight_busy_processes_are_each_kept_below_their_slice(backend: slices.Slices) -> None:
    many = [subprocess.Popen([sys.executable, "-S", "-c", BUSY], start_new_session=True) for _ in range(8)]
    try:
        for number, each in enumerate(many):
            backend.put(f"busy-{number}", each.pid, 0.1)
        before, since = [cpu_seconds(each.pid) for each in many], time.monotonic()
        let_time_pass(1.5)
        elapsed = time.monotonic() - since
        used = [(cpu_seconds(each.pid) - start) / elapsed for each, start in zip(many, before, strict=True)]
        doubts = [slice_doubt("busy", 0.1, cores, saturated=False) for cores in used]
        assert doubts == [None] * 8
        assert min(used) > 0
    finally:
        for each in many:
            each.kill()
            each.wait()


@pytest.mark.parametrize("cores", [0.002, 0.02, 0.03, 0.04, 0.05, 0.3, 1.0, 4.0])
def test_a_quota_is_the_slice_also_where_the_kernel_refuses_a_short_period(cores: float) -> None:
    microseconds, period = quota(cores)
    assert microseconds / period == pytest.approx(cores, rel=0.01)
    assert microseconds >= MIN_QUOTA_MICROSECONDS
    assert PERIOD_MICROSECONDS <= period <= 1_000_000
    assert (period == PERIOD_MICROSECONDS) == (cores >= 0.05)


@pytest.mark.parametrize("backend", ["cgroup1", "cgroup2"])
def test_a_group_gets_its_quota_and_a_burst_and_its_counts_are_read(backend: str, tmp_path: Path) -> None:
    group = tmp_path / f"{PREFIX}{os.getpid()}-catalog-1"
    group.mkdir()
    burst = group / ("cpu.max.burst" if backend == "cgroup2" else "cpu.cfs_burst_us")
    burst.touch()
    slicer = slices.CgroupSlices(backend, tmp_path)
    assert slicer.throttling("catalog-1") is None
    slicer.put("catalog-1", os.getpid(), 0.3)
    assert burst.read_text() == "6000"
    if backend == "cgroup2":
        assert (group / "cpu.max").read_text() == "6000 20000"
        (group / "cpu.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n")
    else:
        assert (group / "cpu.cfs_quota_us").read_text() == "6000"
    seconds = "throttled_usec 500000" if backend == "cgroup2" else "throttled_time 500000000"
    (group / "cpu.stat").write_text(f"nr_periods 50\nnr_throttled 9\n{seconds}\n")
    pressure = 1.5 if backend == "cgroup2" else None
    assert slicer.throttling("catalog-1") == slices.Throttling(9, 0.5, pressure)


@pytest.mark.processes
@pytest.mark.timed
def test_a_busy_process_on_a_slice_is_stopped_and_the_kernel_counts_it(
    backend: slices.Slices, busy: subprocess.Popen[bytes]
) -> None:
    backend.put("busy", busy.pid, 0.03)
    if backend.backend == "governor":
        assert backend.throttling("busy") is None
        return
    until = time.monotonic() + 20
    # The kernel counts a period when it stops the process, and adds the time of the stop when it ends.
    while (held := backend.throttling("busy")) and time.monotonic() < until:
        if held.periods > 2 and held.seconds > 0:
            break
        let_time_pass(0.05)
    assert held is not None
    assert held.periods > 2
    assert held.seconds > 0
    backend.drop("busy")
    assert backend.throttling("busy") is None

"""Slices are tested on a process that is really busy, with every backend that works on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtests import slices
from loadtests.governor import Account
from loadtests.processes import cpu_seconds

BUSY = "while True: pass"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
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
    psutil_pause(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - since)


def psutil_pause(seconds: float) -> None:
    """Measuring a share of CPU means letting time pass; there is nothing to poll for."""
    time.sleep(seconds)


@pytest.mark.processes
def test_a_busy_process_is_kept_to_its_slice(backend: slices.Slices, busy: subprocess.Popen[bytes]) -> None:
    backend.put("busy", busy.pid, 0.2)
    used = cores_used(busy.pid, 1.5)
    assert slices.doubt("busy", 0.2, used, saturated=True) is None


@pytest.mark.processes
def test_a_slice_can_be_changed_and_taken_off(backend: slices.Slices, busy: subprocess.Popen[bytes]) -> None:
    backend.put("busy", busy.pid, 0.05)
    backend.put("busy", busy.pid, 0.3)
    assert cores_used(busy.pid, 0.7) > 0.2
    backend.drop("busy")
    assert cores_used(busy.pid, 0.3) > 0.35


@pytest.mark.processes
def test_closing_lets_a_paused_process_run_again(busy: subprocess.Popen[bytes]) -> None:
    governor = slices.open_backend("governor")
    governor.put("busy", busy.pid, 0.01)
    psutil_pause(0.1)
    governor.close()
    assert psutil.Process(busy.pid).status() != psutil.STATUS_STOPPED


def test_without_slices_nothing_is_limited_and_the_backend_says_so() -> None:
    backend = slices.open_backend("none")
    backend.put("any", os.getpid(), 0.1)
    backend.close()
    assert backend.backend == "none"


def test_detection_finds_a_backend_by_trying() -> None:
    backend = slices.detect()
    backend.close()
    assert backend.backend in slices.BACKENDS


def test_groups_of_a_lab_that_is_gone_are_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    (tmp_path / f"{slices.PREFIX}{gone.pid}-catalog-1").mkdir()
    (tmp_path / f"{slices.PREFIX}{os.getpid()}-catalog-1").mkdir()
    assert slices.sweep(tmp_path) == 1
    assert [each.name for each in tmp_path.iterdir()] == [f"{slices.PREFIX}{os.getpid()}-catalog-1"]


def test_both_versions_of_control_groups_are_found_where_they_are_mounted() -> None:
    mounts = (
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    )
    found = slices.find_mounts(mounts, "3:cpu,cpuacct:/user/me\n2:memory:/\n0::/a/b\n")
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
    assert (slices.doubt("cart-1", 0.1, used, saturated=saturated) is None) == kept


def test_an_account_pauses_a_group_until_its_debt_is_paid() -> None:
    account = Account(cores=0.1, members=[])
    assert account.settle(0.002, used=0.002)
    assert account.settle(0.010, used=0.002)
    assert not account.settle(0.010, used=0.002)


def test_an_account_does_not_save_up_for_a_long_burst() -> None:
    account = Account(cores=0.1, members=[])
    account.settle(60.0, used=0.0)
    assert account.settle(0.0, used=0.003)

"""The lab counts the CPUs that it may use, not those of the machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtests.rig import cpus, machine
from loadtests.rig.cpus import Mount, smallest_quota
from loadtests.running import calm


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("outer", "inner", "cores"),
    [
        ({"cpu__max": "max 100000"}, {"cpu__max": "150000 100000"}, 1.5),
        ({"cpu__max": "100000 100000"}, {"cpu__max": "max 100000"}, 1.0),
        ({}, {"cpu__max": "max 100000"}, math.inf),
        ({"cpu__cfs_quota_us": "-1", "cpu__cfs_period_us": "100000"}, {}, math.inf),
        ({}, {"cpu__cfs_quota_us": "25000", "cpu__cfs_period_us": "50000"}, 0.5),
    ],
)
def test_the_tightest_quota_of_a_group_and_those_above_it_holds(
    tmp_path: Path, outer: dict[str, str], inner: dict[str, str], cores: float
) -> None:
    group(tmp_path, **outer)
    group(tmp_path / "slice" / "job", **inner)
    assert smallest_quota([Mount("any", tmp_path, tmp_path / "slice" / "job")]) == cores


def test_a_group_that_a_container_does_not_see_has_no_quota(tmp_path: Path) -> None:
    group(tmp_path, cpu__max="200000 100000")
    assert smallest_quota([Mount("cgroup2", tmp_path, tmp_path / "host" / "container")]) == 2.0


@pytest.fixture
def one_cpu() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity of processes")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_cpu")
def test_a_process_on_one_cpu_counts_one() -> None:
    assert cpus.usable_cpus() <= 1.0
    assert machine.facts("none")["cores"] <= 1.0


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota of one and a half of eight cores."""
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: 8)
    monkeypatch.setattr(cpus, "read_mounts", list)
    monkeypatch.setattr(cpus, "smallest_quota", lambda _mounts: 1.5)


@pytest.mark.usefixtures("quota")
def test_with_a_quota_others_disturb_only_with_what_they_take_from_it() -> None:
    assert cpus.usable_cpus() == 1.5
    assert [cpus.taken_from_us(cores) for cores in (0.5, 6.5, 7.5)] == [0.0, 0.0, 1.0]


@pytest.mark.usefixtures("quota")
def test_the_wait_for_a_calm_machine_compares_with_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([(0.0, 0.0), (7.25, 0.0)])  # core seconds, in one second
    clock = iter([10.0, 11.0])
    monkeypatch.setattr(calm, "machine_seconds", lambda: next(used))
    stopped = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(calm, "time", stopped)
    assert calm.observe(1.0) == (0.5, 0.0)

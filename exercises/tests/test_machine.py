"""A check compares the load with the CPUs that it may use."""

from __future__ import annotations

import pytest

from exercises.checks.machine import Watcher, _Reading
from loadtests.rig import cpus


def test_with_a_quota_others_disturb_only_with_what_they_take_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: 8)
    monkeypatch.setattr(cpus, "read_mounts", list)
    monkeypatch.setattr(cpus, "smallest_quota", lambda _mounts: 1.5)
    assert Watcher().cores == 1.5
    start = _Reading(at=0.0, busy=0.0, stolen=0.0, ours=0.0)
    assert _Reading(at=1.0, busy=6.0, stolen=0.0, ours=0.5).minus(start).others == 0.0
    assert _Reading(at=1.0, busy=8.0, stolen=0.0, ours=0.5).minus(start).others == 1.0

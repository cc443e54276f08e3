"""The parts of the lab's test of itself on real processes. The test itself is run on a quiet machine."""

import json
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from loadtests.analysis.raw import RawTrial
from loadtests.analysis.records import MACHINE_STOLEN
from loadtests.bench.slicing import BUSY
from loadtests.rig import slices
from loadtests.rig.generator import TrialError
from loadtests.selftest import real, simulated
from loadtests.selftest.disturbances import Disturb, free_replica
from loadtests.selftest.proxy import price_changing_proxy
from loadtests.selftest.real_trials import EXPERIMENT, RealLab
from loadtests.selftest.statistics import SLOWER
from loadtests.tests.test_slices import cores_used

STUB = Path(__file__).with_name("stub_shop.py")


class SimulatedLab(RealLab):
    """A lab whose trials come from `happens`."""

    happens: Callable[[Any], RawTrial]

    def run(self, trial: Any, disturb: Disturb | None = None) -> RawTrial:
        return self.happens(trial)


def lab_where(happens: Callable[[Any], RawTrial], tmp_path: Path) -> RealLab:
    lab = SimulatedLab(tmp_path, slices.NoSlices(), 1)
    lab.happens = happens
    return lab


def answering(trial: Any, rate: float) -> RawTrial:
    """The raw trial of a shop that answered so many requests per second."""
    raw = simulated.trial("monolith", trial.repeat, random.Random(f"{trial.id}:{trial.repeat}"))
    phase = next(each for each in trial.phases if each.record)
    requests = [
        replace(raw.requests[0], intended=n / rate, start=n / rate, end=n / rate + 0.01)
        for n in range(round(rate * 4))
    ]
    usage = {
        **raw.usage,
        "monolith-1": simulated.steady(phase.cores_of("monolith")),
    }
    facts = {**raw.facts, "id": trial.id, "cores": 2}
    return replace(raw, phases=[phase], requests=requests, usage=usage, facts=facts)


def test_one_shop_on_one_slice_can_be_two_systems_of_a_plan() -> None:
    trials = RealLab(Path(), slices.NoSlices(), 1).trials(1)
    assert sorted({each.id for each in trials}) == ["again", "shop", "slower"]
    assert len(trials) == 3 * EXPERIMENT.repeats
    cores = {each.id: each.phases[1].cores_of("monolith") for each in trials}
    assert cores["shop"] == cores["again"] == cores["slower"] * SLOWER


def test_truths_are_found_where_throughput_follows_the_slice(tmp_path: Path) -> None:
    def happens(trial: Any) -> RawTrial:
        noise = random.Random(f"{trial.id}{trial.repeat}").uniform(0.97, 1.03)
        return answering(trial, (80 if trial.id == "slower" else 100) * noise)

    checks = list(real._truths(lab_where(happens, tmp_path)))
    assert [check.passed for check in checks] == [True, True], checks


def test_a_lab_that_finds_a_winner_in_a_shop_against_itself_fails(tmp_path: Path) -> None:
    lab = lab_where(lambda trial: answering(trial, 130 if trial.id == "again" else 100), tmp_path)
    same, slower = real._truths(lab)
    assert not same.passed
    assert "At first 0.77" in same.because
    assert not slower.passed


def test_where_every_trial_is_void_no_check_passes(tmp_path: Path) -> None:
    lab = lab_where(lambda trial: simulated.late(answering(trial, 100), 0.2), tmp_path)
    checks = list(real._truths(lab))
    assert not any(check.passed for check in checks)
    assert {check.found for check in checks} == {"too few valid trials"}


@pytest.mark.parametrize(
    ("disturbed", "found", "passed"),
    [
        (lambda raw: simulated.late(raw, 0.2), "void", True),
        (lambda raw: simulated.using(raw, MACHINE_STOLEN, 0.5), "void", False),
        (lambda raw: raw, "trusted", False),
    ],
)
def test_a_disturbed_trial_must_be_void_for_the_right_reason(
    disturbed: Callable[[RawTrial], RawTrial], found: str, *, passed: bool, tmp_path: Path
) -> None:
    lab = lab_where(lambda trial: disturbed(answering(trial, 100)), tmp_path)
    check = real._void(lab, lab.trials(1)[0], "A generator", "it had too little CPU", _nothing)
    assert (check.found, check.passed) == (found, passed)


@pytest.mark.parametrize(
    ("died", "told"),
    [(["monolith-1: SIGKILL"], True), (["gateway-1: SIGKILL"], False), ([], False)],
)
def test_a_killed_replica_must_be_told(died: list[str], *, told: bool, tmp_path: Path) -> None:
    lab = lab_where(lambda trial: simulated.with_facts(answering(trial, 100), died=died), tmp_path)
    assert real._killed(lab, lab.trials(1)[0]).passed is told


def test_a_trial_that_cannot_be_run_fails_its_check_with_its_reason(tmp_path: Path) -> None:
    def fails(_trial: Any) -> RawTrial:
        raise TrialError("The load generator ended early.")

    lab = lab_where(fails, tmp_path)
    check = real._void(lab, lab.trials(1)[0], "A replica", "ended", _nothing)
    assert not check.passed
    assert check.because == "The load generator ended early."
    assert lab.run_until_valid(lab.trials(1)[0]) is None


def _nothing(_shop: Any, _folder: Path) -> Any:
    raise AssertionError


@pytest.fixture
def url() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, str(STUB)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.mark.processes
def test_the_proxy_changes_prices_and_nothing_else(url: str) -> None:
    def ask(base: str, path: str) -> tuple[int, dict[str, Any]]:
        with urllib.request.urlopen(f"{base}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)

    with price_changing_proxy(url) as proxy:
        assert ask(proxy.url, "/api/categories") == ask(url, "/api/categories")
        assert ask(proxy.url, "/api/prices")[1]["items"] == [{"price_cents": 1201}]
        assert ask(url, "/api/prices")[1]["items"] == [{"price_cents": 1200}]


@pytest.mark.processes
@pytest.mark.timed
@pytest.mark.parametrize("backend", ["cgroup2", "cgroup1", "governor"])
def test_a_process_can_be_freed_from_its_slice_with_each_backend(backend: str) -> None:
    try:
        slicer = slices.open_backend(backend)
    except slices.SliceError as error:
        pytest.skip(str(error))
    busy = subprocess.Popen([sys.executable, "-S", "-c", BUSY], start_new_session=True)

    shop: Any = SimpleNamespace(replicas=lambda: [busy])
    try:
        with closing(slicer):
            slicer.put("busy", busy.pid, 0.05)
            assert cores_used(busy.pid, 0.5) < 0.1
            with free_replica(slicer)(shop, Path()):
                assert any(cores_used(busy.pid, 0.5) > 0.12 for _ in range(3))
    finally:
        os.killpg(busy.pid, signal.SIGKILL)
        busy.wait()
    assert not psutil.pid_exists(busy.pid)

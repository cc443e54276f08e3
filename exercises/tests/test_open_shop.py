"""The open shop as another process sees it: found, steered, measured, drawn; and visitors for it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from exercises.checks import load_run, open_shop
from exercises.checks.load_run import Mix
from exercises.checks.open_shop import GATEWAY, Drawn, Member, OpenShop
from exercises.errors import ExerciseError
from exercises.page import live, shop_map
from exercises.page.measuring import Numbers, Reading, quantile
from exercises.page.usage import UsageMeter
from exercises.tests.learner import in_this_process, served_shop
from exercises.workspaces.workspace import Workspace
from loadtests.experiments import experiment
from loadtests.experiments.curves import MAX_RATE
from loadtests.load.arrivals import Phase

SECONDS = 60.0


def shop(
    *members: Member, services: tuple[Drawn, ...] = (), steered: bool = True, folder: Path = Path("/run")
) -> OpenShop:
    return OpenShop("http://127.0.0.1:1", folder, 1, steered, members, services)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process group that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestSteering:
    def test_a_process_is_paused_goes_on_and_is_killed(self, sleeper):
        member = Member("catalog-1", sleeper.pid, 1)
        found = shop(member)
        assert found.pause("catalog") == ["catalog-1"]
        wait_for(lambda: member.phase() == "paused")
        assert found.resume("catalog-1") == ["catalog-1"]
        wait_for(lambda: member.phase() == "starting")  # nothing listens on its port
        found.kill("catalog")
        sleeper.wait()
        assert member.phase() == "down"

    def test_a_slow_process_works_until_it_is_resumed(self, sleeper, tmp_path):
        found = shop(member := Member("catalog-1", sleeper.pid, 1), folder=tmp_path)
        slowing = threading.Thread(target=found.slow, args=("catalog", 0.5, SECONDS))
        slowing.start()
        seen = set()
        wait_for(lambda: seen.add(psutil.Process(sleeper.pid).status()) or len(seen) > 1)
        assert psutil.STATUS_STOPPED in seen
        assert found.phase(member) == "slow"
        found.resume("catalog-1")
        slowing.join()
        assert found.phase(member) == "starting"
        assert list(tmp_path.iterdir()) == []

    def test_a_killed_slower_or_a_killed_process_leaves_nobody_slow(self, sleeper, tmp_path):
        found = shop(member := Member("catalog-1", sleeper.pid, 1), folder=tmp_path)
        (tmp_path / f"slow-catalog-1-{sleeper.pid}").write_text(f"{os.getpid()} 1.0")
        assert found.phase(member) == "starting"
        slowing = threading.Thread(target=found.slow, args=("catalog", 0.5, SECONDS))
        slowing.start()
        wait_for(lambda: found.phase(member) == "slow")
        found.kill("catalog")
        sleeper.wait()
        slowing.join()
        assert found.phase(member) == "down"

    def test_what_is_not_there_is_told_with_what_is(self):
        with pytest.raises(ExerciseError, match=r"no 'x' in your shop; it has a-1, gateway"):
            shop(Member("a-1", 1, 1), Member(GATEWAY, 1, 1)).named("x")

    def test_one_process_without_a_topology_cannot_be_scaled(self):
        with pytest.raises(ExerciseError, match="until exercise 04"):
            shop(steered=False).command(command="scale", name="monolith", count=2)

    def test_a_shop_whose_launcher_is_gone_is_not_open(self, tmp_path):
        folder = tmp_path / "shops/1/run/workspace"
        folder.mkdir(parents=True)
        launcher = {"pid": os.getpid(), "created": 1.0}
        state = {"fleet": "x", "launcher": launcher, "url": "u", "control": "", "processes": []}
        (folder / "state.json").write_text(json.dumps(state))
        assert open_shop.find(tmp_path) is None
        launcher["created"] = psutil.Process().create_time()
        with pytest.raises(ExerciseError, match="exercises serve opens it"):
            open_shop.require(tmp_path)


class TestMeasuring:
    def test_a_quantile_is_read_between_the_limits_of_a_bucket(self):
        buckets = {0.1: 5.0, 0.2: 10.0, math.inf: 10.0}
        assert quantile(buckets, 0.5) == pytest.approx(100)
        assert quantile(buckets, 0.75) == pytest.approx(150)

    def test_beyond_the_last_limit_it_is_at_least_that(self):
        assert quantile({0.1: 0.0, math.inf: 4.0}, 0.95) == pytest.approx(100)

    @pytest.mark.parametrize("buckets", [{}, {0.1: 0.0, math.inf: 0.0}])
    def test_without_answers_there_is_none(self, buckets):
        assert quantile(buckets, 0.5) is None

    def test_cpu_and_memory_of_a_process_need_two_looks_and_are_of_its_workers_too(self, sleeper):
        now = 0.0
        usage = UsageMeter(lambda: now)
        idle, busy, gone = (
            Member("idle-1", sleeper.pid, 1),
            Member("busy-1", os.getpid(), 1),
            Member("x-1", 2**22, 1),
        )
        first = usage.read([idle, busy, gone])
        assert set(first) == {"idle-1", "busy-1"}
        assert first["busy-1"].cores is None
        assert first["busy-1"].mebibytes > first["idle-1"].mebibytes > 0, "the sleeper is a worker of ours"
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
        now = 0.5
        second = usage.read([idle, busy])
        assert second["idle-1"].cores == pytest.approx(0, abs=0.2)
        assert second["busy-1"].cores >= 0.36  # 0.2 s in 0.5 s, as coarse as the system counts

    def test_calls_of_the_chosen_service_are_its_own_first(self):
        calls = {("front", "stock"): Numbers(3), ("stock", "mail"): Numbers(1), ("front", "mail"): Numbers(2)}
        found = live._calls(Reading(0.0, calls=calls), "stock")
        assert [each[:2] for each in found] == [("stock", "mail"), ("front", "stock")]


class TestLog:
    def test_a_json_line_is_shown_as_people_read_it_and_any_other_line_as_it_is(self):
        line = {
            "time": "2026-01-02 03:04:05,678",
            "level": "warning",
            "message": "No answer.",
            "request_id": "x",
        }
        assert live.readable(json.dumps(line)) == "03:04:05 warning: No answer."
        for odd in ("plain", "[1]", "1", '{"message": "x"}', '{"time": 1, "level": "x", "message": "y"}'):
            assert live.readable(odd) == odd


class TestMap:
    services = (Drawn("front", ("stock",)), Drawn("stock", public=False, slots=8))
    members = (
        Member(GATEWAY, 1, 1),
        Member("front-1", 1, 1),
        Member("stock-1", 1, 1),
        Member("stock-2", 1, 1),
    )

    def draw(self, **reading: object) -> str:
        phases = {member.label: "ready" for member in self.members}
        numbers = Reading(0.0, **{"phases": phases, **reading})  # type: ignore[arg-type]
        return str(shop_map.draw(shop(*self.members, services=self.services), numbers))

    def test_it_has_every_service_and_a_box_behind_for_each_more_replica(self):
        drawn = self.draw()
        for name in (GATEWAY, "front", "stock", "visitors"):
            assert f">{name}<" in drawn
        assert drawn.count("behind") == 1
        assert "2 replicas" in drawn

    def test_a_line_is_thicker_with_more_requests_and_slower_with_slower_answers(self):
        calls = {("front", "stock"): Numbers(30.0)}
        drawn = self.draw(calls=calls, services={"stock": Numbers(30.0, p95_ms=300.0)})
        assert "density-3" in drawn
        assert "speed-3" in drawn
        assert "30.0/s" in drawn
        assert "flow" not in self.draw()

    def test_errors_have_a_shape_and_a_number(self):
        drawn = self.draw(services={"front": Numbers(5.0, errors=2.0)})
        assert 'class="alarm"' in drawn
        assert "2.0 errors/s" in drawn
        assert 'class="lost"' in drawn

    def test_what_others_call_is_not_counted_as_visitors(self):
        services = {"front": Numbers(10.0), "stock": Numbers(10.0)}
        drawn = self.draw(services=services, calls={("front", "stock"): Numbers(10.0)})
        assert drawn.count(">10.0/s</text>") == 3 + 2  # three lines, two boxes

    def test_a_paused_process_is_named_on_its_box(self):
        phases = {member.label: "ready" for member in self.members} | {"stock-2": "paused"}
        drawn = self.draw(phases=phases)
        assert 'data-phase="paused"' in drawn
        assert "1 of 2 paused" in drawn


class TestLoad:
    def test_the_spike_is_in_the_middle_and_only_of_the_hot_part(self):
        before, spike, after = Mix(10, 6, 60).phases()
        assert before["rates"] == after["rates"]
        changed = {name for name, rate in spike["rates"].items() if rate != before["rates"][name]}
        assert changed == {load_run.HOT}
        assert sum(before["rates"].values()) == pytest.approx(10)
        assert sum(each["seconds"] for each in (before, spike, after)) == 60

    def test_the_lab_takes_even_the_most_that_can_be_asked_for(self):
        for phase in Mix(100, 50, 600).phases():
            assert Phase(**phase)
            assert sum(phase["rates"].values()) < MAX_RATE
        assert set(Mix(1, 1, 6).users()) == set(experiment.load("spike").limits.users)

    def test_points_are_read_while_they_are_written(self, tmp_path):
        file = tmp_path / load_run.POINTS
        assert load_run.points(file) == []
        file.write_text('{"at": 1}\n{"at": 2}\n{"at')
        assert [point["at"] for point in load_run.points(file)] == [1, 2]


@pytest.mark.processes
def test_a_served_shop_is_looked_at_scaled_and_broken_from_another_terminal(
    workspace: Workspace, course_folder: Path, free_port: int
) -> None:
    workspace.jump(workspace.course.steps[1], "solution")
    settings = {"EXERCISES_WORKSPACE": str(workspace.root), "EXERCISES_COURSE": str(course_folder)}

    def run(*words: str) -> tuple[int, str, str]:
        return in_this_process(words, settings)

    status, _, err = run("shop")
    assert status == 2
    assert "No shop of this workspace is open" in err
    with served_shop(workspace, free_port) as found:
        _, out, _ = run("shop")
        assert "ready" in out
        assert f"127.0.0.1:{free_port}" in out
        pid = found.named("monolith")[0].pid
        assert "the launcher starts it again" in run("shop", "kill", "monolith")[1]
        wait_for(lambda: open_shop.require(workspace.data_dir / "serve").named("monolith")[0].pid != pid)
        status, _, err = run("shop", "scale", "monolith=99")
        assert status == 2
        assert "monolith" in err
        status, _, err = run("shop", "scale", "monolith")
        assert "is not NAME=N" in err
    assert open_shop.find(workspace.data_dir / "serve") is None

"""The actions of a trial, done to a small real fleet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.experiments.kinds import ActionKind
from loadtests.planning.phases import PlannedAction, PlannedPhase
from loadtests.rig.actions import ActionRunner
from loadtests.rig.phase_slices import PhaseSlices
from loadtests.rig.slices import Throttling
from microservices.launcher import Fleet, Phase, Replica
from microservices.launcher.readiness import status
from microservices.tests.conftest import stub_topology, wait_until

pytestmark = pytest.mark.processes
PHASE = PlannedPhase("toy", "fault", 60.0, {}, "poisson", {}, 0.5, True, True, ())


class RecordedSlices:
    """Slices that are only recorded."""

    backend = "none"

    def __init__(self) -> None:
        self.cores: dict[str, float] = {}

    def put(self, name: str, pid: int, cores: float) -> None:
        self.cores[name] = cores

    def drop(self, name: str) -> None:
        del self.cores[name]

    def throttling(self, name: str) -> Throttling | None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Fleet, ActionRunner, RecordedSlices]]:
    """A running fleet of stubs, the runner of its actions, and its current slices."""
    slices = RecordedSlices()
    phase_slices = PhaseSlices(slices)
    (tmp_path / "openapi.yaml").write_text("openapi: 3.1.0\n")
    topology = stub_topology(tmp_path / "openapi.yaml")
    with Fleet(topology, data_dir=tmp_path, home=tmp_path, on_ready=phase_slices.apply) as fleet:
        phase_slices.begin(PHASE, fleet.replicas())
        runner = ActionRunner(fleet, phase_slices)
        try:
            yield fleet, runner, slices
        finally:
            runner.finish()


def act(runner: ActionRunner, what: ActionKind) -> None:
    runner.next_phase(0, PlannedAction(what, "alpha", 0.0))


def answers(replica: Replica) -> bool:
    return status(replica.port, timeout=0.3) == 200


def test_a_killed_service_comes_back_and_its_return_is_timed(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    fleet, runner, slices = shop
    before = fleet.replicas("alpha")[0].pid
    act(runner, "kill")
    wait_until(lambda: fleet.replicas("alpha")[0].pid != before and answers(fleet.replicas("alpha")[0]))
    (result,) = runner.finish()
    assert result.fresh == ["alpha-1"]
    assert result.seconds is not None
    assert slices.cores["alpha-1"] == 0.5


def test_a_dead_service_stays_dead_until_the_phase_ends(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    fleet, runner, _ = shop
    replica = fleet.replicas("alpha")[0]
    act(runner, "dead")
    wait_until(lambda: len(fleet.died) >= 2)
    runner.next_phase(1, None)
    wait_until(lambda: replica.phase is Phase.READY and answers(replica))


def test_a_hung_service_answers_nothing_and_then_goes_on(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    fleet, runner, slices = shop
    replica = fleet.replicas("alpha")[0]
    act(runner, "hang")
    wait_until(lambda: not answers(replica))
    assert "alpha-1" not in slices.cores  # a slice kept by pausing and resuming would resume it
    runner.next_phase(1, None)
    wait_until(lambda: answers(replica))
    assert runner.finish()[0].failed == ""
    assert slices.cores["alpha-1"] == 0.5
    assert fleet.died == []


def test_a_slow_service_has_a_tenth_of_its_slice_for_the_phase(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    _, runner, slices = shop
    act(runner, "slow")
    wait_until(lambda: slices.cores["alpha-1"] == pytest.approx(0.05))
    runner.next_phase(1, None)
    wait_until(lambda: slices.cores["alpha-1"] == 0.5)


def test_an_added_replica_gets_its_slice_and_its_name_is_recorded(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    fleet, runner, slices = shop
    act(runner, "add")
    wait_until(lambda: len(fleet.replicas("alpha")) == 2)
    (result,) = runner.finish()
    assert result.fresh == ["alpha-2"]
    assert slices.cores["alpha-2"] == 0.5


def test_a_rolling_restart_records_every_new_replica(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    fleet, runner, _ = shop
    before = fleet.replicas("alpha")[0].pid
    act(runner, "restart")
    wait_until(lambda: [each.pid for each in fleet.replicas("alpha")] not in ([], [before]))
    (result,) = runner.finish()
    assert result.fresh == [fleet.replicas("alpha")[0].label]
    assert fleet.died == []


def test_an_action_that_was_not_due_in_time_has_failed(
    shop: tuple[Fleet, ActionRunner, RecordedSlices],
) -> None:
    _, runner, _ = shop
    runner.next_phase(0, PlannedAction("kill", "alpha", 60.0))
    (result,) = runner.finish()
    assert result.failed == "the phase ended before the action was due"

"""What is done to a shop in a trial, done to a small real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.experiments.kinds import ActionKind
from loadtests.planning.phases import PlannedAction, PlannedPhase
from loadtests.rig.actions import Actor, Slicing
from microservices.launcher import Fleet, Phase, Replica
from microservices.launcher.readiness import status
from microservices.tests.conftest import stub_topology, wait_until

pytestmark = pytest.mark.processes
PHASE = PlannedPhase("toy", "fault", 60.0, {}, "poisson", {}, 0.5, True, True, ())


class Written:
    """Slices that are only written down."""

    backend = "none"

    def __init__(self) -> None:
        self.cores: dict[str, float] = {}

    def put(self, name: str, pid: int, cores: float) -> None:
        self.cores[name] = cores

    def drop(self, name: str) -> None:
        del self.cores[name]

    def close(self) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Fleet, Actor, Written]]:
    """A running fleet of stubs, somebody who acts on it, and the slices as they stand."""
    slices = Written()
    slicing = Slicing(slices)
    (tmp_path / "openapi.yaml").write_text("openapi: 3.1.0\n")
    topology = stub_topology(tmp_path / "openapi.yaml")
    with Fleet(topology, data_dir=tmp_path, home=tmp_path, on_ready=slicing.put) as fleet:
        slicing.enter(PHASE, fleet.replicas())
        actor = Actor(fleet, slicing)
        try:
            yield fleet, actor, slices
        finally:
            actor.finish()


def act(actor: Actor, what: ActionKind) -> None:
    actor.next_phase(0, PlannedAction(what, "alpha", 0.0))


def answers(replica: Replica) -> bool:
    return status(replica.port, timeout=0.3) == 200


def test_a_killed_service_comes_back_and_its_return_is_timed(shop: tuple[Fleet, Actor, Written]) -> None:
    fleet, actor, slices = shop
    before = fleet.replicas("alpha")[0].pid
    act(actor, "kill")
    wait_until(lambda: fleet.replicas("alpha")[0].pid != before and answers(fleet.replicas("alpha")[0]))
    (done,) = actor.finish()
    assert done.fresh == ["alpha-1"]
    assert done.seconds is not None
    assert slices.cores["alpha-1"] == 0.5


def test_a_dead_service_stays_dead_until_the_phase_ends(shop: tuple[Fleet, Actor, Written]) -> None:
    fleet, actor, _ = shop
    replica = fleet.replicas("alpha")[0]
    act(actor, "dead")
    wait_until(lambda: len(fleet.died) >= 2)
    actor.next_phase(1, None)
    wait_until(lambda: replica.phase is Phase.READY and answers(replica))


def test_a_hung_service_answers_nothing_and_then_goes_on(shop: tuple[Fleet, Actor, Written]) -> None:
    fleet, actor, slices = shop
    replica = fleet.replicas("alpha")[0]
    act(actor, "hang")
    wait_until(lambda: not answers(replica))
    assert "alpha-1" not in slices.cores  # a slice kept by pausing and resuming would wake it up
    actor.next_phase(1, None)
    wait_until(lambda: answers(replica))
    assert actor.finish()[0].failed == ""
    assert slices.cores["alpha-1"] == 0.5
    assert fleet.died == []


def test_a_slow_service_has_a_tenth_of_its_slice_for_the_phase(shop: tuple[Fleet, Actor, Written]) -> None:
    _, actor, slices = shop
    act(actor, "slow")
    wait_until(lambda: slices.cores["alpha-1"] == pytest.approx(0.05))
    actor.next_phase(1, None)
    wait_until(lambda: slices.cores["alpha-1"] == 0.5)


def test_one_replica_more_gets_its_slice_and_its_name_is_noted(shop: tuple[Fleet, Actor, Written]) -> None:
    fleet, actor, slices = shop
    act(actor, "add")
    wait_until(lambda: len(fleet.replicas("alpha")) == 2)
    (done,) = actor.finish()
    assert done.fresh == ["alpha-2"]
    assert slices.cores["alpha-2"] == 0.5


def test_a_rolling_restart_notes_every_new_replica(shop: tuple[Fleet, Actor, Written]) -> None:
    fleet, actor, _ = shop
    before = fleet.replicas("alpha")[0].pid
    act(actor, "restart")
    wait_until(lambda: [each.pid for each in fleet.replicas("alpha")] not in ([], [before]))
    (done,) = actor.finish()
    assert done.fresh == [fleet.replicas("alpha")[0].label]
    assert fleet.died == []


def test_what_could_not_be_done_in_time_is_said(shop: tuple[Fleet, Actor, Written]) -> None:
    _, actor, _ = shop
    actor.next_phase(0, PlannedAction("kill", "alpha", 60.0))
    (done,) = actor.finish()
    assert done.failed == "the phase was over before it was due"

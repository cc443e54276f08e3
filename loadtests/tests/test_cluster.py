"""A shop in a cluster, measured through the API: replicas, readings of CPU, and what is refused, in one sentence each.

The cluster is a fake one, with a real client and real HTTP on loopback.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial, Usage, read_trial
from loadtests.experiments.experiment import load, parse
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.report.doubts import doubts
from loadtests.rig import slices
from loadtests.rig.cluster import ClusterShop, ClusterTarget, shop
from loadtests.rig.cluster.api import RIGHTS
from loadtests.rig.cluster.pods import Reading, pods_of, readings_of, seconds
from loadtests.rig.cluster.samples import PodSamples
from loadtests.rig.shop import TargetError
from loadtests.rig.targets import target
from loadtests.rig.trial import Rig, run_trials
from loadtests.running import runner
from loadtests.tests.fake_cluster import CORES, MEMORY, NAMESPACE, FakeCluster, served
from loadtests.tests.made_up import NOTES, TEXT, trial
from microservices.chaos.standin import Answer, Asked, StandIn
from microservices.tests.conftest import wait_until

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).with_name("stub_shop.py")
AT = f"kube:{NAMESPACE}"
PRODUCT = {"sku": "P1", "name": "Green kettle"}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with a shop of two services and a gateway, which the user's kubeconfig names."""
    for name in ("POLL_SECONDS", "EVERY_SECONDS", "LOOKED_UP_SECONDS"):
        monkeypatch.setattr(shop, name, 0.01)
    made = FakeCluster()
    for name in ("gateway", "orders", "recommendations"):
        made.add_deployment(name)
    with served(made, tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield made


@pytest.fixture
def address() -> Iterator[str]:
    """Where a shop answers."""

    def respond(asked: Asked) -> Answer:
        items = [{"slug": "tea"}] if asked.route == "/api/categories" else [PRODUCT]
        return 200, {"items": items, "total": 1}

    with StandIn(respond) as stub:
        yield stub.url


def test_a_refusal_says_where_the_short_form_would_run(cluster: FakeCluster, address: str) -> None:
    whole = target("monolith", f"{AT}@{address}").refusal(load("spike"))
    assert whole
    assert whole.startswith("spike gives one path a rule of its own (two-pools), which")
    assert whole.endswith("; --short leaves it out.")
    assert target("monolith", f"{AT}@{address}").refusal(load("spike").short()) is None


def refusal(address: str, at: str = AT, name: str = "tax") -> str:
    return str(target("microservices", f"{at}@{address}").refusal(load(name)))


def opened(**replicas: int) -> Any:
    """The fake cluster's shop as a trial has it."""
    asked = Trial("microservices", replicas, "split", repeat=1)
    return ClusterTarget("microservices", AT, NAMESPACE, "http://127.0.0.1:1").open(asked, Path())


def test_a_shop_in_a_cluster_that_can_be_measured_is_not_refused(cluster: FakeCluster, address: str) -> None:
    assert target("microservices", f"{AT}@{address}").refusal(load("tax")) is None


def test_without_the_client_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert refusal("http://127.0.0.1:1") == (
        "The lab needs the Kubernetes client for a shop in a cluster; run: make extras."
    )


def test_without_a_kubeconfig_its_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert refusal("http://127.0.0.1:1").startswith(
        "There is no usable kubeconfig (KUBECONFIG, or ~/.kube/config) that names a cluster: "
    )


def test_a_cluster_that_does_not_answer_is_named(cluster: FakeCluster, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(config.read_text().replace(cluster.url, "http://127.0.0.1:9"))
    assert refusal("http://127.0.0.1:1").startswith("No cluster answers at http://127.0.0.1:9; start it")


def test_a_namespace_that_is_not_there_is_named(cluster: FakeCluster, address: str) -> None:
    assert refusal(address, "kube:other").startswith(f"The cluster at {cluster.url} has no namespace other;")


@pytest.mark.parametrize(
    ("verb", "resource", "where"),
    [
        ("patch", "deployments/scale", "in the namespace shop"),
        ("get", "nodes/proxy", "in the whole cluster"),
    ],
)
def test_a_right_that_is_missing_is_named(
    cluster: FakeCluster, address: str, verb: str, resource: str, where: str
) -> None:
    cluster.denied = (verb, resource)
    assert refusal(address).startswith(f"You may not {verb} {resource} {where}; docs/kubernetes.md")


def test_credentials_that_are_refused_are_told_from_missing_rights(
    cluster: FakeCluster, address: str
) -> None:
    cluster.refused = {"/api/v1/namespaces": 401}
    assert "does not accept your credentials" in refusal(address)
    cluster.refused = {"/api/v1/namespaces": 403}
    assert refusal(address).startswith("The cluster refuses GET /api/v1/namespaces/shop;")


def test_an_empty_namespace_is_refused_with_the_command_that_starts_the_shop(
    cluster: FakeCluster, address: str
) -> None:
    cluster.deployments.clear()
    assert "kubectl apply -k microservices/kubernetes/overlays/local" in refusal(address)


def test_a_deployment_that_is_missing_is_named(cluster: FakeCluster, address: str) -> None:
    del cluster.deployments["recommendations"]
    assert refusal(address, name="deploy") == (
        "deploy needs a Deployment recommendations, which the namespace shop does not have."
    )


def test_cpu_that_nobody_serves_is_refused_before_anything_starts(cluster: FakeCluster, address: str) -> None:
    cluster.refused = {"/api/v1/nodes/node-1/proxy": 503}
    assert refusal(address) == (
        "CPU and memory of the node node-1 cannot be read. The cluster answers 503 to GET "
        "/api/v1/nodes/node-1/proxy/stats/summary: it is refused"
    )


def test_an_autoscaler_that_would_change_the_replicas_is_named(cluster: FakeCluster, address: str) -> None:
    cluster.autoscalers = {"hot": "recommendations"}
    assert "kubectl delete -n shop hpa/hot" in refusal(address)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("scale-hot", None),
        ("spike", None),
        ("fault", 'has the action "'),
        ("budget", ""),
        ("autoscale", "changes replicas during a phase"),
        ("technology", "exchanges code of the shop"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused_by_name(
    cluster: FakeCluster, address: str, name: str, what: str | None
) -> None:
    found = target("microservices", f"{AT}@{address}").refusal(load(name))
    if what is None:
        assert found is None
    else:
        assert found
        assert found.startswith(f"{name} ")
        assert what in found
        assert found.endswith(f"which the lab cannot do in a cluster ({AT}@{address}).")


@pytest.mark.parametrize("where", ["kube:", "kube:@http://127.0.0.1:1", "kube:shop@127.0.0.1:80"])
def test_a_name_without_a_namespace_or_with_no_address_is_refused(where: str) -> None:
    with pytest.raises(TargetError, match=r"write kube:NAMESPACE or kube:NAMESPACE@http://ADDRESS"):
        target("microservices", where)


def test_the_gateway_is_found_at_the_port_of_a_node_or_has_to_be_named(
    cluster: FakeCluster, address: str
) -> None:
    port = int(address.rpartition(":")[2])
    cluster.service = {"spec": {"ports": [{"port": 80, "nodePort": port}]}, "status": {"loadBalancer": {}}}
    found = target("microservices", AT)
    assert isinstance(found, ClusterTarget)
    assert found.url == address
    del cluster.service["spec"]["ports"][0]["nodePort"]
    assert "add one that does: kube:shop@http://127.0.0.1:8080" in str(
        target("microservices", AT).refusal(load("tax"))
    )


def test_a_load_balancer_in_front_of_the_gateway_is_used(cluster: FakeCluster, address: str) -> None:
    port = int(address.rpartition(":")[2])
    entry = {"ingress": [{"ip": "127.0.0.1"}]}
    cluster.service = {"spec": {"ports": [{"port": port}]}, "status": {"loadBalancer": entry}}
    found = target("microservices", AT)
    assert isinstance(found, ClusterTarget)
    assert found.url == address


def test_a_trial_gets_its_replicas_and_gives_back_those_that_were_there(cluster: FakeCluster) -> None:
    cluster.add_deployment("cart", replicas=2)
    with opened(recommendations=3) as running:
        assert [each.label for each in running.replicas("recommendations")] == [
            "recommendations-1",
            "recommendations-2",
            "recommendations-3",
        ]
        assert len(running.replicas("cart")) == 1
        assert {each.name for each in running.replicas()} == {"cart", "orders", "recommendations"}
    scaled = "/apis/apps/v1/namespaces/shop/deployments/{}/scale"
    assert [(path, body["spec"]["replicas"]) for _, path, _, body in cluster.asked] == [
        (scaled.format("recommendations"), 3),
        (scaled.format("cart"), 1),
        (scaled.format("recommendations"), 1),
        (scaled.format("cart"), 2),
    ]
    assert {kind for method, _, kind, _ in cluster.asked if method == "PATCH"} == {
        "application/merge-patch+json"
    }


def test_replicas_come_back_after_a_trial_that_failed(cluster: FakeCluster) -> None:
    with pytest.raises(TargetError, match="made up"), opened(recommendations=2):
        raise TargetError("made up")
    assert cluster.deployments["recommendations"]["spec"]["replicas"] == 1


def test_pods_that_do_not_get_ready_are_named_with_the_reason(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "SETTLE_SECONDS", 0.05)
    cluster.ready = False
    with (
        pytest.raises(TargetError, match=r"recommendations has 1 ready .* not 2 \(ImagePullBackOff\), after"),
        opened(recommendations=2),
    ):
        pass


def test_a_pod_that_the_kubelet_does_not_read_is_named(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "READING_SECONDS", 0.05)
    cluster.unread = {"orders"}
    with pytest.raises(TargetError, match=r"kubelet of node-1 has no new CPU time of orders-.*"), opened():
        pass


def test_a_clock_of_a_node_that_is_ahead_is_named(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "READING_SECONDS", 0.05)
    cluster.clock = lambda: time.time() + 60
    with pytest.raises(TargetError, match=r"clock is (59|60|61) s ahead"), opened():
        pass


def test_a_rolling_restart_replaces_every_pod(cluster: FakeCluster) -> None:
    with opened(recommendations=2) as running:
        before = {each.label for each in running.replicas("recommendations")}
        after = running.restart("recommendations")
        assert len(after) == 2
        assert before.isdisjoint(each.label for each in after)
    annotations = cluster.deployments["recommendations"]["spec"]["template"]["metadata"]["annotations"]
    assert list(annotations) == ["kubectl.kubernetes.io/restartedAt"]


def test_a_container_that_ended_by_itself_is_a_death(cluster: FakeCluster) -> None:
    with opened() as running:
        assert running.died == []
        (pod,) = cluster.of("orders")
        pod.restarts = 1
        wait_until(lambda: running.died != [])
        (death,) = running.died
        assert (death.name, death.slot, death.cause) == ("orders", 1, "exit status 137")


def test_cpu_counts_from_the_begin_of_the_trial_and_from_the_start_of_a_later_pod(
    cluster: FakeCluster,
) -> None:
    (old,) = cluster.of("orders")
    old.started -= 1000
    with opened() as running:
        (first,) = [each for each in running.samples(until=0.0) if each.name == "orders-1"]
        assert (first.cpu, first.uss) == (0.0, MEMORY)
        running.scale("recommendations", 2)
        wait_until(lambda: any(each.name == "recommendations-2" for each in running.samples(until=0.0)))
        began, *_ = [each for each in running.samples(until=0.0) if each.name == "recommendations-2"]
        assert (began.cpu, began.uss) == (0.0, 0)
    assert max(each.cpu for each in running.samples(until=0.0)) < 60


def test_only_pods_that_serve_are_counted_by_the_name_of_their_workload(cluster: FakeCluster) -> None:
    cluster.add_pod("StatefulSet", "postgresql")
    cluster.add_pod("Job", "seed-orders")
    cluster.add_pod("ReplicaSet", "orders-5d9f8c7b6", phase="Failed")
    found = pods_of(each.as_json() for each in cluster.pods.values())
    assert sorted(each.workload for each in found) == ["gateway", "orders", "postgresql", "recommendations"]


def test_readings_are_cumulative_and_have_the_kubelets_own_time() -> None:
    usage = {
        "podRef": {"name": "orders-1", "namespace": "shop", "uid": "u"},
        "cpu": {"time": "2026-01-31T12:00:05Z", "usageCoreNanoSeconds": 12_500_000_000},
        "memory": {"rssBytes": 7, "workingSetBytes": 9},
    }
    fresh = {
        "podRef": {"name": "new-1", "namespace": "shop", "uid": "v"},
        "cpu": {"time": "2026-01-31T12:00:05Z"},
    }
    other = {**usage, "podRef": {"name": "x", "namespace": "kube-system", "uid": "w"}}
    (found,) = readings_of({"pods": [usage, fresh, other]}, "shop")
    assert found == Reading("u", seconds("2026-01-31T12:00:05Z") + 0.5, 12.5, 7)


def test_a_reading_that_is_not_new_is_no_sample(cluster: FakeCluster) -> None:
    (pod,) = pods_of(each.as_json() for each in cluster.of("orders"))
    known = PodSamples()
    known.add([pod], {pod.uid: Reading(pod.uid, 10.5, 3.0, MEMORY)}, now=11.0)
    known.begin()
    for _ in range(3):
        known.add([pod], {pod.uid: Reading(pod.uid, 20.5, 4.5, MEMORY)}, now=21.0)
    known.add([], {}, now=25.0)
    assert [(each.at, each.cpu, each.uss) for each in known.samples] == [
        (10.5, 0.0, MEMORY),
        (20.5, 1.5, MEMORY),
        (25.0, 1.5, 0),
    ]


READ = Usage([-4.5, 5.5, 15.5, 25.5], [0.0, 2.0, 6.0, 7.0], [MEMORY] * 4, read=True)
"""A pod that was read every ten seconds."""


def test_cpu_of_readings_lies_between_those_around_the_phase() -> None:
    assert READ.cpu_bounds([(10.0, 20.0)]) == (0.0, 5.0)
    assert READ.cpu_bounds([(0.0, 16.0)]) == (4.0, 7.0)
    assert READ.cpu_bounds([(6.0, 15.0)]) == (0.0, 4.0)
    # The time of the reading at 5.5 means any moment from 5 to 6.
    assert READ.cpu_bounds([(6.0, 15.1)]) == (0.0, 5.0)
    assert READ.cores([(6.0, 15.0)]) * 9 == pytest.approx(3.6)


def test_cpu_after_the_last_reading_is_not_known() -> None:
    assert READ.cpu_bounds([(20.0, 26.0)]) is None


def test_a_pod_that_went_used_nothing_afterwards_and_an_unknown_amount_before() -> None:
    gone = Usage([*READ.at, 28.0], [*READ.cpu, 7.0], [*READ.uss, 0], read=True)
    assert gone.cpu_bounds([(28.0, 30.0)]) == (0.0, 0.0)
    assert gone.cpu_bounds([(20.0, 27.0)]) is None
    assert gone.cpu_bounds([(10.0, 20.0)]) == (0.0, 5.0)


def test_memory_of_a_phase_without_a_reading_is_that_of_the_readings_around_it() -> None:
    assert READ.memory([(7.0, 9.0)]) == MEMORY
    assert READ.memory([(30.0, 40.0)]) == 0


def test_a_process_of_this_machine_has_exact_cpu() -> None:
    assert Usage([0.0, 10.0], [0.0, 5.0], [1, 1]).cpu_bounds([(2.0, 4.0)]) == (1.0, 1.0)


def in_cluster(at: list[float], cpu: list[float]) -> RawTrial:
    """A trial whose only pod, and its gateway, were read at these times."""
    pod = Usage(at, cpu, [MEMORY] * len(at), read=True)
    idle = Usage(at, [0.0] * len(at), [MEMORY] * len(at), read=True)
    return trial(usage={"monolith-1": pod, "gateway": idle}, engine="kubernetes", slice_backend="none")


def test_cpu_per_request_carries_the_bounds_of_the_readings() -> None:
    (result,) = measure(in_cluster([-4.5, 5.5, 15.5], [0.0, 2.0, 4.0]))
    assert result.cpu_us_per_request
    known = result.number("cpu_us_per_request", "all")
    assert known
    assert known.value == result.cpu_us_per_request
    # Ten seconds of the phase lie within twenty of readings: it may be none of the four seconds, or all.
    assert known.low == 0
    assert known.high == pytest.approx(known.value * 2)
    assert any("its CPU is known only to between 0% and 200%" in each for each in result.remarks)
    assert [each["slice"] for each in result.processes] == [None, None, None]
    assert result.doubts == []


def test_a_machine_that_is_not_the_clusters_is_not_judged_by_what_pods_use() -> None:
    """Four pods on a node elsewhere use more than the machine that sends the load has."""
    at = [-4.5, 5.5, 15.5]
    busy = Usage(at, [0.0, 40.0, 80.0], [MEMORY] * 3, read=True)
    found = trial(usage={"monolith-1": busy, "gateway": busy}, engine="kubernetes", slice_backend="none")
    (result,) = measure(found)
    assert result.doubts == []
    assert not any("the whole machine was busy" in each for each in result.remarks)


def test_cpu_that_was_not_read_after_the_phase_is_missing_and_no_zero() -> None:
    (result,) = measure(in_cluster([-4.5, 5.5], [0.0, 2.0]))
    assert result.cpu_us_per_request is None
    assert result.number("cpu_us_per_request", "all") is None
    assert result.number("cpu_cores", "all") is None
    assert any("its CPU is not known" in each for each in result.remarks)
    assert [each["name"] for each in result.processes] == ["generator"]


def test_systems_run_one_after_another_in_a_cluster() -> None:
    alone = plan([load("scale-hot").short().without_turns()], share=False)
    assert len({each.id for each in alone}) == 4
    assert all(not each.group and each.phases[-1].seconds == 2.4 for each in alone)


def test_a_run_takes_no_turns_where_one_of_its_shops_is_in_a_cluster() -> None:
    here, there = target("monolith", None), target("microservices", AT)
    (kept,) = runner._runnable([load("scale-hot")], {"monolith": here})
    (changed,) = runner._runnable([load("scale-hot")], {"monolith": here, "microservices": there})
    assert kept.turns
    assert changed.turns is None


def test_the_report_names_the_engine_and_what_it_does_not_know() -> None:
    facts = {
        "engine": "kubernetes",
        "version": "v1.36.1",
        "nodes": 2,
        "node_cpu": ["4", "8"],
        "limits": {"gateway": None, "recommendations": "250m"},
    }
    notes = {**NOTES, "clusters": {"microservices": facts}}
    measured: dict[str, Any] = {"trials": []}
    found = " ".join(doubts(load("scale-hot"), measured, notes))
    assert "ran in a cluster (Kubernetes 1.36.1, 2 nodes with 4, 8 cores;" in found
    assert "limits of CPU: none for gateway; 250m for recommendations)" in found
    assert "Only the microservices shop ran in a cluster" in found
    assert "The shops took no turns" in found
    assert "ran in a cluster" not in " ".join(doubts(load("scale-hot"), measured, NOTES))


def test_the_facts_of_a_cluster_have_its_version_nodes_and_limits(cluster: FakeCluster) -> None:
    cluster.add_deployment("cart", cpu_limit="250m")
    found = target("microservices", AT)
    assert isinstance(found, ClusterTarget)
    assert found.facts() == {
        "engine": "kubernetes",
        "version": "v1.36.1",
        "nodes": 1,
        "node_cpu": ["4"],
        "limits": {"gateway": None, "orders": None, "recommendations": None, "cart": "250m"},
    }


def test_the_roles_of_the_page_allow_what_the_lab_does_and_nothing_else() -> None:
    page = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    roles = [
        each
        for block in re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)
        for each in yaml.safe_load_all(block)
        if each.get("kind") in {"Role", "ClusterRole"}
    ]
    allowed = {
        (verb, group, resource, role["kind"] == "ClusterRole")
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed == {(each.verb, each.group, each.resource, each.everywhere) for each in RIGHTS}


@pytest.mark.processes
def test_a_whole_trial_leaves_requests_and_the_readings_of_pods(cluster: FakeCluster, tmp_path: Path) -> None:
    text = TEXT.replace("seconds = 10\n", "seconds = 2\n").replace(
        "recommendations = 2", "recommendations = 1"
    )
    trials = [each for each in plan([parse(text, "toy.toml")], share=False) if each.system == "microservices"]
    with subprocess.Popen([sys.executable, str(STUB)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        where = f"{AT}@{process.stdout.readline().strip()}"
        rig = Rig(tmp_path, {"microservices": target("microservices", where)}, slices.NoSlices())
        run_trials([(trials[0], tmp_path / "trial")], rig)
        process.terminate()
    raw = read_trial(tmp_path / "trial")
    assert raw.facts["engine"] == "kubernetes"
    assert raw.facts["slice_backend"] == "none"
    assert raw.replicas == ["orders-1", "recommendations-1"]
    assert raw.usage["orders-1"].read
    assert not raw.usage["generator"].read
    (result,) = measure(raw)
    assert result.metrics["all"]["errors"] == 0
    least, most = result.cpu_known
    assert least <= 3 * CORES / float(result.of_shop["cpu_cores"] or 0) <= most
    assert result.uss_bytes == 3 * MEMORY


def test_a_shop_in_a_cluster_has_no_process_here(cluster: FakeCluster) -> None:
    with opened() as running:
        assert isinstance(running, ClusterShop)
        assert running.gateway == 0
        assert all(each.pid == 0 and each.pids() == [] for each in running.replicas())

"""The generated configuration: first as data, then in use, with stubs behind a real Caddy."""

from __future__ import annotations

import http.client
import json
import subprocess

import psutil
import pytest

from microservices.chaos.pause import paused_processes
from microservices.launcher import Fleet
from microservices.launcher.addresses import Addresses
from microservices.launcher.gateway import caddy, configuration
from microservices.tests.conftest import SHORT_TIMEOUTS, call, public_port, wait_until
from microservices.topology import MONOLITH, SPLIT

pytestmark = pytest.mark.processes


def addresses(topology):
    names = [service.name for service in topology.services]
    slots = {name: tuple(range(21000 + 10 * i, 21008 + 10 * i)) for i, name in enumerate(names)}
    return Addresses(20000, {name: 20001 + i for i, name in enumerate(names)}, slots)


@pytest.mark.parametrize("topology", [SPLIT, MONOLITH], ids=lambda topology: topology.name)
def test_caddy_accepts_the_configuration(topology, tmp_path):
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps(configuration(topology, addresses(topology))))
    done = subprocess.run(
        [caddy(), "validate", "--config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_each_service_has_one_handler_that_probes():
    text = json.dumps(configuration(SPLIT, addresses(SPLIT)))
    assert text.count('"active"') == len(SPLIT.services)


@pytest.fixture(scope="module")
def shop(topology, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with Fleet(topology, {"alpha": 2}, data_dir=home, home=home, settings=SHORT_TIMEOUTS) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def port(shop):
    return public_port(shop)


@pytest.fixture
def two_replicas(shop, port):
    """Both replicas of alpha take requests, whatever an earlier test did to them."""
    ports = {str(replica.port) for replica in shop.replicas("alpha")}
    seen = set()
    wait_until(lambda: seen.add(call(port, "GET", "/api/alpha").json()["port"]) or seen == ports)
    return shop.replicas("alpha")


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/api/alpha", "alpha"),
        ("/api/alpha/x/y?z=1", "alpha"),
        ("/api/things/7", "beta"),
        ("/api/things/7/alpha", "alpha"),
        ("/api/things/7/8/alpha", "beta"),
        ("/", "accounts"),
        ("/products/P00001", "accounts"),
    ],
)
def test_a_path_goes_to_its_owner(port, path, owner):
    assert call(port, "GET", path).json()["service"] == owner


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/unknown",
        "/api/alphabet",
        "/internal",
        "/internal/events",
        "//internal/events",
        "/api/../internal/events",
        "/INTERNAL/events",
        "/metrics",
        "/readyz",
        "/healthz",
    ],
)
def test_what_is_not_public_looks_like_any_unknown_path(port, path):
    answer = call(port, "GET", path, X_Request_Id="abc")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] == "abc"
    assert answer.json() == {
        "type": "/problems/not-found",
        "title": "There is nothing here",
        "status": 404,
        "detail": "No route of the shop has this path.",
    }


def test_internal_routes_are_open_to_services(shop, port):
    beta = call(port, "GET", "/api/alpha").json()["env"]["SHOP_BETA_URL"]
    answer = call(int(beta.rpartition(":")[2]), "GET", "/internal/x", Authorization="Service abc")
    assert answer.json()["path"] == "/internal/x"
    assert answer.json()["headers"]["AUTHORIZATION"] == "Service abc"


def test_identity_from_outside_is_taken_off(port):
    forged = {"X_Customer_Id": "C1", "X_Internal_Caller": "orders", "Authorization": "service abc"}
    headers = call(port, "GET", "/api/alpha", **forged).json()["headers"]
    assert not {"X_CUSTOMER_ID", "X_INTERNAL_CALLER", "AUTHORIZATION"} & set(headers)


def test_where_a_request_came_from_is_the_gateways_to_say(port):
    forged = {
        "X_Client_Address": "203.0.113.9",
        "X_Forwarded_For": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
    }
    headers = call(port, "GET", "/api/alpha", **forged).json()["headers"]
    assert headers["X_CLIENT_ADDRESS"] == "127.0.0.1"
    assert call(port, "GET", "/api/alpha").json()["headers"]["X_CLIENT_ADDRESS"] == "127.0.0.1"


def test_a_header_with_an_underscore_does_not_replace_the_gateways_header(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/api/alpha", headers={"X_Client_Address": "203.0.113.9"})
    headers = json.loads(connection.getresponse().read())["headers"]
    connection.close()
    assert headers["X_CLIENT_ADDRESS"] == "127.0.0.1"


def test_between_services_the_client_address_passes_unchanged(port):
    beta = call(port, "GET", "/api/alpha").json()["env"]["SHOP_BETA_URL"]
    answer = call(int(beta.rpartition(":")[2]), "GET", "/api/things", X_Client_Address="203.0.113.9")
    assert answer.json()["headers"]["X_CLIENT_ADDRESS"] == "203.0.113.9"


def test_every_process_listens_on_loopback_only(shop):
    listening = [
        connection.laddr.ip
        for member in shop.members()
        for pid in member.pids()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(shop.members())
    assert set(listening) == {"127.0.0.1"}


def test_a_customers_token_passes(port):
    headers = call(port, "GET", "/api/alpha", Authorization="Bearer abc").json()["headers"]
    assert headers["AUTHORIZATION"] == "Bearer abc"


@pytest.mark.parametrize(("sent", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False)])
def test_a_valid_request_id_is_kept_and_an_invalid_one_replaced(port, sent, kept):
    received = call(port, "GET", "/api/alpha", X_Request_Id=sent).json()["headers"]["X_REQUEST_ID"]
    assert (received == sent) is kept
    assert len(received) <= 64


def test_the_contract_is_served_as_a_file(port):
    answer = call(port, "GET", "/api/openapi.yaml")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/yaml")
    assert answer.text == "openapi: 3.1.0\n"


def test_the_contract_cannot_be_written(port):
    answer = call(port, "PUT", "/api/openapi.yaml")
    assert (answer.status, answer.json()["type"]) == (405, "/problems/method-not-allowed")


def test_a_body_of_more_than_a_megabyte_is_refused(port):
    answer = call(port, "POST", "/api/alpha", "x" * 1_100_000)
    assert (answer.status, answer.json()["type"]) == (413, "/problems/body-too-large")


def test_a_post_with_a_key_is_retried_with_its_body_on_another_replica(port, two_replicas):
    answer = call(port, "POST", "/api/alpha?exit=once-1", "the whole body", Idempotency_Key="abcdefgh")
    assert (answer.status, answer.json()["body"]) == (200, "the whole body")


def test_a_post_without_a_key_is_not_retried(port, two_replicas):
    answer = call(port, "POST", "/api/alpha?exit=once-2", "body")
    assert (answer.status, answer.json()["type"]) == (502, "/problems/bad-upstream")


def test_a_slow_answer_ends_in_a_504(port):
    answer = call(port, "POST", "/api/things?sleep=1.5", "body")
    assert (answer.status, answer.json()["type"]) == (504, "/problems/upstream-timeout")


def test_a_get_to_a_paused_replica_is_answered_by_another(port, two_replicas):
    paused = two_replicas[0]
    with paused_processes(paused.pids()):
        answers = [call(port, "GET", "/api/alpha") for _ in range(8)]
        assert [answer.status for answer in answers] == [200] * 8
        assert {answer.json()["port"] for answer in answers} == {str(two_replicas[1].port)}


def test_without_a_replica_the_api_answers_a_problem_and_pages_are_html(start):
    fleet = start(replicas={"alpha": 0, "accounts": 0})
    wait_until(lambda: call(public_port(fleet), "GET", "/").status == 503)
    answer = call(public_port(fleet), "GET", "/api/alpha")
    assert (answer.status, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["Retry-After"] == "1"
    page = call(public_port(fleet), "GET", "/cart")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Retry-After"] == "1"
    assert "cannot answer just now" in page.text

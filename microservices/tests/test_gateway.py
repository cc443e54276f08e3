"""The generated configuration: first as data, then in use, with stubs behind a real Caddy."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter

import psutil
import pytest

from microservices.chaos.pause import paused_processes
from microservices.launcher import Fleet
from microservices.launcher.addresses import Addresses
from microservices.launcher.gateway import UNKNOWN, caddy, configuration
from microservices.launcher.gateway_tracing import environment
from microservices.tests.conftest import SHORT_TIMEOUTS, Answer, call, public_port, wait_until
from microservices.topology import MONOLITH, SPLIT

pytestmark = pytest.mark.processes
PROBLEM, PAGE = "application/problem+json", "text/html; charset=utf-8"


def addresses(topology):
    names = [service.name for service in topology.services]
    slots = {name: tuple(range(21000 + 10 * i, 21008 + 10 * i)) for i, name in enumerate(names)}
    return Addresses(20000, {name: 20001 + i for i, name in enumerate(names)}, slots)


@pytest.mark.parametrize("traced", [False, True], ids=["", "traced"])
@pytest.mark.parametrize("topology", [SPLIT, MONOLITH], ids=lambda topology: topology.name)
def test_caddy_accepts_the_configuration(topology, traced, tmp_path):
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps(configuration(topology, addresses(topology), traced=traced)))
    done = subprocess.run(
        [caddy(), "validate", "--config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("traced", [False, True], ids=["", "traced"])
def test_each_service_has_one_handler_that_probes(traced):
    text = json.dumps(configuration(SPLIT, addresses(SPLIT), traced=traced))
    assert text.count('"active"') == len(SPLIT.services)


def test_the_gateway_traces_only_where_traces_are_sent():
    assert "tracing" not in json.dumps(configuration(SPLIT, addresses(SPLIT)))
    assert environment({"OTEL_SERVICE_NAME": "mine"}) == {}


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
        "/internal",
        "/internal/events",
        "//internal/events",
        "/./internal/events",
        "/api/../internal/events",
        "/internal%2Fevents",
        "/%6detrics",
        "/metrics",
        "/readyz",
        "/healthz",
    ],
)
def test_what_is_not_public_looks_like_any_unknown_path(port, path):
    answer = call(port, "GET", path)
    assert (answer.status, answer.json()["service"], answer.json()["path"]) == (200, "accounts", UNKNOWN)


@pytest.mark.parametrize("path", ["/api", "/METRICS", "/Healthz", "/API/alpha", "/Internal/x"])
def test_upper_and_lower_case_are_different_paths(port, path):
    assert call(port, "GET", path).json()["path"] == path


@pytest.mark.parametrize("path", ["/api/unknown", "/api/alphabet", "/api/ALPHA", "/api/"])
def test_an_unknown_path_of_the_api_is_a_problem(port, path):
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
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_the_options_of_the_contract_are_those_of_every_route_that_is_only_read(port):
    answer = call(port, "OPTIONS", "/api/openapi.yaml")
    assert (answer.status, answer.headers["Allow"], answer.text) == (200, "GET, HEAD, OPTIONS", "")


@pytest.mark.parametrize("asked", [{"Range": "bytes=0-3"}, {"If_Match": '"x"'}, {"If_None_Match": "*"}])
def test_the_contract_is_always_served_whole(port, asked):
    answer = call(port, "GET", "/api/openapi.yaml", **asked)
    assert (answer.status, answer.text) == (200, "openapi: 3.1.0\n")
    assert not {"Etag", "Last-Modified", "Accept-Ranges"} & set(answer.headers)


@pytest.mark.parametrize(("path", "content_type"), [("/api/alpha", PROBLEM), ("/cart", PAGE)])
def test_a_body_of_more_than_a_megabyte_is_refused(port, path, content_type):
    answer = call(port, "POST", path, "x" * 1_100_000)
    assert (answer.status, answer.headers["Content-Type"]) == (413, content_type)


def test_the_largest_body_arrives_whole(port):
    sent = "\u00e4" * 500_000  # in bytes twice as many
    assert call(port, "POST", "/api/alpha", sent.encode()).json()["body"] == sent


HEAD = b"PUT /api/alpha HTTP/1.1\r\nHost: shop\r\n"
UNUSABLE = {
    "too large": (HEAD + b"Content-Length: 1200000\r\n\r\n" + b"x" * 1_200_000, 413),
    "ends early": (HEAD + b"Content-Length: 50\r\n\r\nx", 400),
    "broken chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 411),
    "chunks end early": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nx", 411),
    "endless chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"4\r\nxxxx\r\n" * 300_000, 411),
    "good chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 411),
    "half a head": (HEAD, 400),
    "no host": (b"GET /api/alpha HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "broken escape": (b"GET /api/%zz HTTP/1.1\r\nHost: shop\r\n\r\n", 400),
}


@pytest.mark.parametrize(("sent", "status"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_request_that_nobody_can_use_reaches_no_replica_and_closes_none(port, two_replicas, sent, status):
    for _ in range(4):  # two lost requests take a replica out
        assert exchange(port, sent, then_closes=True).status == status
    assert [call(port, "GET", "/api/alpha").status for _ in range(10)] == [200] * 10


def test_a_client_that_stops_within_its_chunks_is_answered_at_once(port):
    answer = exchange(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nx")
    assert (answer.status, answer.json()["type"]) == (411, "/problems/length-required")


def test_a_client_that_goes_away_within_its_body_closes_no_replica(port, two_replicas):
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(HEAD + b"Content-Length: 50\r\n\r\nx")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert [call(port, "GET", "/api/alpha").status for _ in range(10)] == [200] * 10


TRUSTED = ("X-Client-Address", "X-Request-Id", "Authorization", "Idempotency-Key", "traceparent")
TRICKS = [
    "Connection: close, {name}",
    "connection: {name}",
    "Connection: close\r\nConnection: {name}",
    "Connection: close,\r\n {name}",
    "CONNECTION: keep-alive,{name},,x",
    "Connection: Upgrade, {name}\r\nUpgrade: websocket",
    "Proxy-Connection: {name}",
    "Keep-Alive: {name}",
    "TE: {name}",
    "Trailer: {name}",
]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("name", TRUSTED)
def test_a_client_cannot_have_a_header_removed(port, name, trick):
    sent = {"X-Request-Id": "abc", "Authorization": "Bearer a", "Idempotency-Key": "k", "traceparent": "t"}
    lines = [f"{header}: {value}" for header, value in sent.items()] + [trick.format(name=name)]
    request = "\r\n".join(["GET /api/alpha HTTP/1.1", "Host: shop", *lines, "", ""])
    headers = exchange(port, request.encode()).json()["headers"]
    expected = {"X-Client-Address": "127.0.0.1", **sent}
    assert {header: headers.get(header.upper().replace("-", "_")) for header in expected} == expected
    assert "UPGRADE" not in headers


@pytest.mark.parametrize(
    "line",
    [
        "x-client-ADDRESS: 203.0.113.9",
        "X_Client_Address: 203.0.113.9",
        "X-Client_Address: 203.0.113.9",
        "X_Client-Address: 203.0.113.9",
        "X-Client-Address:\r\n 203.0.113.9",
    ],
)
def test_a_client_cannot_add_a_second_address(port, line):
    lines = ["GET /api/alpha HTTP/1.1", "Host: shop", line, "X-Client-Address: 203.0.113.8", "", ""]
    headers = exchange(port, "\r\n".join(lines).encode()).json()["headers"]
    assert headers["X_CLIENT_ADDRESS"] == "127.0.0.1"


def exchange(port, sent, *, then_closes=False):
    """The answer to these bytes; `then_closes`: the client says that it sends nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        with suppress(OSError):  # it may be refused before it was read
            client.sendall(sent)
            if then_closes:
                client.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(client)
        response.begin()
        return Answer(response.status, dict(response.headers.items()), response.read().decode())


def test_a_post_whose_key_is_honoured_is_retried_with_its_body_on_another_replica(port, two_replicas):
    answer = call(port, "POST", "/api/alpha?exit=once-1", "the whole body", Idempotency_Key="abcdefgh")
    assert (answer.status, answer.json()["body"]) == (200, "the whole body")


def test_a_post_with_a_key_to_a_path_that_ignores_it_is_not_retried(port, two_replicas):
    answer = call(port, "POST", "/api/things/7/alpha?exit=once-3", "body", Idempotency_Key="abcdefgh")
    assert (answer.status, answer.json()["type"]) == (502, "/problems/bad-upstream")


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


def test_beyond_its_limit_a_path_is_refused_at_once_and_other_paths_are_not(topology, start):
    (alpha, *others) = topology.services
    limited = replace(alpha, limits=(("/api/alpha/hot", 2),))
    port = public_port(start(replace(topology, services=(limited, *others))))
    with ThreadPoolExecutor() as pool:
        hot = [pool.submit(call, port, "GET", "/api/alpha/hot?sleep=0.6") for _ in range(5)]
        answers = sorted(((each.result().status, each.result()) for each in hot), key=itemgetter(0))
        assert [status for status, _ in answers] == [200, 200, 503, 503, 503]
        refused = answers[-1][1]
        assert refused.json()["type"] == "/problems/unavailable"
        assert refused.headers["Retry-After"] == "1"
        cold = [pool.submit(call, port, "GET", "/api/alpha/cold?sleep=0.1") for _ in range(3)]
        assert [each.result().status for each in cold] == [200] * 3


def test_a_second_pool_gets_its_path_and_has_the_database_of_the_first(topology, start):
    whole = replace(topology.services[1], name="whole", paths=("/", "/api"), reads_jwks=False)
    pool = replace(whole, name="pool", paths=("/api/products/*/hot",), database_of="whole")
    port = public_port(start(replace(topology, services=(whole, pool))))
    paths = ("/api/products/7/hot", "/api/products/7", "/api/orders", "/cart")
    answers = [call(port, "GET", path).json() for path in paths]
    assert [answer["service"] for answer in answers] == ["pool", "whole", "whole", "whole"]
    assert len({answer["env"]["SHOP_DATABASE_URL"] for answer in answers}) == 1

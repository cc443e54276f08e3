"""04: a gateway stands in front of the shop, and visitors do not notice.

What a gateway changes in a request cannot be seen in the shop's answers. So some checks start a copy of the workspace
in which an echo takes the monolith's place: it answers with what has arrived there.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check

DEAD_SECONDS, HUNG_SECONDS, CLIENT_TIMEOUT = 1.0, 5.0, 15.0
BUSY = 0.5
"""Cores that other programs use. Above this, a late answer is not held against the gateway ..."""
CLEARLY_LATE = 2.5
"""... unless it takes so many times the limit, which no busy machine explains."""
SLOW_SECONDS = 1.5
"""A little longer than the slowest correct answer takes."""
LARGE = 200_000
"""Bytes of a large body: far more than a buffer, and less than the shop's own limit."""
OF_EACH_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "via"}
"""Headers of an answer that a gateway may change."""
TRIES = 10
FOR_PROGRAMS = ("/api/orders", "/api", "/.well-known/jwks.json")
OTHER_ADDRESS = "127.0.0.2"
INSIDE = (
    "/metrics",
    "/readyz",
    "/healthz",
    "/internal",
    "/internal/",
    "/internal/events?after=0",
    "/internal/a/b",
)
FORGED = ("X-Customer-Id", "X-Customer", "X-Internal-Caller", "X-Deadline-Ms", "X_Customer_Id", "X_Anything")
PASSED_ON = {
    "Authorization": "Bearer some-token",
    "Cookie": "session=one; theme=two",
    "Idempotency-Key": "key-00000042",
    "X-Request-Id": "kept-42",
    "Content-Type": "application/json; charset=utf-8",
}
CADDYFILE = "Caddyfile"
PROBLEM = re.compile(r"/problems/[a-z-]+")
ECHO = f"""
import json, socket, sys, threading, time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

KNOWN = ("/echo", "/slow", "/full", "/internal", "/metrics", "/readyz", "/healthz")
waiting = []

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        time.sleep({SLOW_SECONDS} if self.path.startswith("/slow") else 0)
        seen = {{"method": self.command, "path": self.path, "body": body, "headers": self.headers.items()}}
        text = json.dumps(seen).encode()
        path = "/" + unquote(self.path).lower().lstrip("/")
        self.send_response(200 if path.startswith(KNOWN) else 404)
        for name, value in (("Content-Length", len(text)), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")):
            self.send_header(name, str(value))
        if path.startswith("/full"):
            server.shutdown()
            fill_the_queue()
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

def fill_the_queue():
    with suppress(OSError):
        while True:
            waiting.append(socket.create_connection(server.server_address, timeout=0.3))

ThreadingHTTPServer.request_queue_size = 1
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo)
server.serve_forever()
threading.Event().wait()
"""
"""Answers with the request that has arrived. After a request for /full it accepts no connection any more."""
WITH_AN_ECHO = """
from pathlib import Path
from microservices.topology import Service, Topology

ECHO = Service("monolith", ("echo.py", "{port}"), slots=1, has_database=False)
TOPOLOGY = Topology("workspace", services=(ECHO,), caddyfile=Path("Caddyfile"))
SEED = {}
"""


@check("answers-as-before", task="pass-on", oracle=True)
def _(bench: Bench) -> None:
    """Through the gateway, pages and API answer what they answered without it."""
    sku = bench.some_sku()
    why = "A gateway that changes requests or answers breaks clients that you do not know."
    for path in (
        "/",
        f"/products/{sku}",
        "/search?q=tea%20pot&page=2",
        "/products/NO-SUCH-SKU",
        f"/api/products?sku={sku},NONE",
        f"/api/products/{sku}/recommendations?limit=3",
        "/api/products?page=1.5",
        "/api/nothing",
        "/api/openapi.yaml",
        "/static/shop.css",
    ):
        mine, theirs = bench.same("GET", path, headers={"Accept-Encoding": "gzip"}, why=why, look=CADDYFILE)
        added, lost = _headers_of(mine) - _headers_of(theirs), _headers_of(theirs) - _headers_of(mine)
        bench.expect(
            not added and not lost,
            did=mine.curl,
            expected="the headers of the untouched monolith",
            got="; ".join([*(f"{name} is new" for name in added), *(f"{name} is missing" for name in lost)]),
            why="Clients and caches rely on the headers of an answer, and the shop decides which there are.",
            look=f"{CADDYFILE}: header, encode",
        )
    for method, path in (
        ("DELETE", "/api/products"),
        ("HEAD", "/"),
        ("OPTIONS", "/api/products"),
        ("GET", "/search/"),
    ):
        bench.same(method, path, why=why, look=CADDYFILE)
    wrong = {"email": f"nobody-{bench.seed}@example.com", "password": "not-my-password"}
    bench.same("POST", "/api/sessions", json=wrong, why=why, look=CADDYFILE)
    bench.same("PUT", "/api/cart", json={}, headers={"X-Request-Id": "kept-42"}, why=why, look=CADDYFILE)
    for customer in (bench.oracle().customer(), bench.shop().customer()):
        put = customer.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 2})
    bench.expect(
        put.status == 200,
        expected="200: a body and a token arrive as they were sent",
        got=put,
        why=why,
        look=CADDYFILE,
    )


@check("requests-arrive-unchanged", task="pass-on", until="in-the-dark")
def _(bench: Bench) -> None:
    """Methods, addresses, bodies and headers arrive at the monolith as they were sent."""
    with _echo(bench) as echo:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            path = f"/echo/a%20b//{method.lower()}/?q=tea%20pot&q=%C3%A9&empty="
            body = None if method == "GET" else {"sent": [method, 1.50]}
            answer, seen = _echoed(echo, method, path, json=body, headers=PASSED_ON)
            for what, sent, arrived in (
                ("method", method, seen["method"]),
                ("address", path, seen["path"]),
                ("body", body, json.loads(seen["body"] or "null")),
                ("Host", urlsplit(echo.url).netloc, seen["headers"].get("host")),
                *((name, text, seen["headers"].get(name.lower())) for name, text in PASSED_ON.items()),
                ("cookies of the answer", ("a=1", "b=2"), answer.set_cookies),
            ):
                bench.expect(
                    arrived == sent,
                    did=f"put an echo in the monolith's place: {answer.curl}",
                    expected=f"{what}: {sent}",
                    got=arrived,
                    why="A gateway that changes requests or answers breaks clients that you do not know.",
                    look=f"{CADDYFILE}: reverse_proxy",
                )
        text = "x" * LARGE
        answer, seen = _echoed(echo, "POST", "/echo", json=text)
    bench.expect(
        seen["body"] == json.dumps(text),
        did=f"put an echo in the monolith's place, and sent it a body of {LARGE} bytes",
        expected="the whole body",
        got=f"{answer.status}, and {len(seen['body'])} bytes arrived",
        why="How large a body may be is for the shop to say: it has a limit and an answer of its own.",
        look=f"{CADDYFILE}: request_body",
    )


@check("cookies-and-redirects", task="pass-on", oracle=True)
def _(bench: Bench) -> None:
    """Signing in by the form works: cookies pass both ways, and redirects lead back to the gateway."""
    theirs, _ = _sign_in(bench.oracle())
    mine, visitor = _sign_in(bench.shop())
    bench.expect(
        mine.status == theirs.status and mine.headers.get("Location") == theirs.headers.get("Location"),
        did=mine.curl,
        expected=f"{theirs.status} and Location: {theirs.headers.get('Location')}",
        got=f"{mine.status} and Location: {mine.headers.get('Location')}",
        why="The shop compares the form's Origin with the Host of the request before it redirects the visitor.",
        look=f"{CADDYFILE}: what happens to the Host header",
    )
    expected, names = _cookies(theirs, bench.oracle()), _cookies(mine, bench.shop())
    bench.expect(
        names == expected,
        did=mine.curl,
        expected="the cookies " + ", ".join(expected),
        got=", ".join(names) or "no cookie",
        why="The cookie is what keeps a visitor signed in. The port of the Host header is in its name.",
        look=CADDYFILE,
    )
    orders = visitor.ask("GET", "/orders")
    bench.expect(
        orders.status == 200,
        expected="200: the page of a visitor who is signed in",
        got=orders,
        why="The browser sends the cookie with every request, and it must arrive at the shop.",
        look=CADDYFILE,
    )


@check("a-dead-shop-is-reported-at-once", task="say-so")
def _(bench: Bench) -> None:
    """When the monolith is dead, people and programs get a 502 or 503 that they can read, within a second."""
    shop = bench.shop()
    types = _types_of_problems(shop)
    with shop.killed("monolith"):
        page = shop.try_ask("GET", "/", headers={"Accept": "text/html"}, timeout=CLIENT_TIMEOUT)
        programs = [shop.try_ask("GET", path, timeout=CLIENT_TIMEOUT) for path in FOR_PROGRAMS]
    for answer in (page, *programs):
        _doubt_if_late(bench, answer, DEAD_SECONDS)
        bench.expect(
            answer.status in (502, 503) and answer.seconds < DEAD_SECONDS,
            did=f"killed the monolith: {answer.curl}",
            expected=f"502 or 503 in less than {DEAD_SECONDS:g} s",
            got=f"{answer} after {answer.seconds:.2f} s",
            why="Waiting does not help when the process is dead. A client that knows at once can do something else.",
            look=CADDYFILE,
        )
    for program in programs:
        _expect_problem(bench, program, types, "killed the monolith")
    _expect_page(bench, page, "killed the monolith")
    bench.note(f"{max(answer.seconds for answer in (page, *programs)) * 1000:.0f} ms")


@check("a-full-shop-is-reported-at-once", task="say-so", until="in-the-dark")
def _(bench: Bench) -> None:
    """When no connection to the monolith can be made, the gateway says so within a second."""
    with _echo(bench) as echo:
        echo.ask("GET", "/full")
        answer = echo.try_ask("GET", "/echo", timeout=CLIENT_TIMEOUT)
    _doubt_if_late(bench, answer, DEAD_SECONDS)
    bench.expect(
        answer.status in (502, 503, 504) and answer.seconds < DEAD_SECONDS,
        did=f"put an echo in the monolith's place, and filled its queue of connections: {answer.curl}",
        expected=f"502, 503 or 504 in less than {DEAD_SECONDS:g} s",
        got=f"{answer} after {answer.seconds:.2f} s",
        why="On one machine a connection is made at once or not at all. To wait for it like for an answer is in vain.",
        look=f"{CADDYFILE}: the timeouts of reverse_proxy's transport; one is for the connection",
    )


@check("a-hung-shop-times-out", task="say-so", load=True)
def _(bench: Bench) -> None:
    """When the monolith takes a request and never answers, the gateway gives up within five seconds."""
    shop = bench.shop()
    types = _types_of_problems(shop)
    person = shop.visitor()
    with shop.paused("monolith"), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(person.try_ask, "GET", "/", timeout=CLIENT_TIMEOUT)
        answer = shop.try_ask("GET", "/api/categories", timeout=CLIENT_TIMEOUT)
        page = asked.result()
    for each in (answer, page):
        _doubt_if_late(bench, each, HUNG_SECONDS)
        bench.expect(
            each.status in (502, 503, 504) and each.seconds < HUNG_SECONDS,
            did=f"paused the monolith: {each.curl}",
            expected=f"a 504 (or 502, 503): an answer within {HUNG_SECONDS:g} s",
            got=f"{each} after {each.seconds:.1f} s",
            why="A hang is worse than a crash: each visitor holds a connection until none is left.",
            look=f"{CADDYFILE}: the timeouts of reverse_proxy's transport",
        )
    _expect_problem(bench, answer, types, "paused the monolith")
    _expect_page(bench, page, "paused the monolith")
    bench.note(f"{answer.status} after {answer.seconds:.1f} s")


@check("a-slow-answer-arrives", task="say-so", until="in-the-dark")
def _(bench: Bench) -> None:
    """The slowest correct answer still arrives: the time limit is not too short."""
    with _echo(bench) as echo:
        answer = echo.try_ask("GET", "/slow", timeout=CLIENT_TIMEOUT)
    bench.expect(
        answer.status == 200,
        did=f"put an echo in the monolith's place that takes {SLOW_SECONDS:g} s: {answer.curl}",
        expected="200, the answer of the echo",
        got=answer,
        why="A payment provider that times out takes about a second. A gateway that gives up before that hides the "
        "shop's own answer.",
        look=f"{CADDYFILE}: the timeouts of reverse_proxy's transport",
    )


@check("internal-routes-are-hidden", task="keep-inside")
def _(bench: Bench) -> None:
    """Metrics, health and internal routes cannot be reached from outside."""
    for path in INSIDE:
        _expect_hidden(bench, bench.shop().ask("GET", path))


@check("no-internal-request-arrives", task="keep-inside", until="in-the-dark")
def _(bench: Bench) -> None:
    """No request for something internal reaches the monolith, whatever its method and spelling."""
    with _echo(bench) as echo:
        for path in (*INSIDE, "/%69nternal/events", "//internal/events", "/readyz?a=b"):
            for method in ("GET", "POST"):
                answer, _ = _echoed(echo, method, path)
                seen = answer.json() if answer.status == 200 else None
                _expect_hidden(bench, answer, f"It reached the monolith as {seen['path']}." if seen else "")


@check("the-gateway-sets-the-client-address", task="keep-inside")
def _(bench: Bench) -> None:
    """The gateway sets the address that a request came from, and ignores the address that a client claims."""
    shop, customer = bench.shop(), bench.shop().customer()
    wrong = {"email": customer.email, "password": "not-my-password"}
    for number in range(TRIES + 1):
        claimed = {"X-Client-Address": f"203.0.113.{number + 1}"}
        answer = shop.ask("POST", "/api/sessions", json=wrong, headers=claimed)
    bench.expect(
        answer.status == 429,
        did=f"tried {TRIES + 1} wrong passwords, each with another X-Client-Address: {answer.curl}",
        expected=f"429 for the last one: {TRIES} tries are allowed from one address",
        got=answer,
        why="The shop believes the client address that the gateway sets. A client must not be able to choose it.",
        look=f"{CADDYFILE}: request_header X-Client-Address",
    )
    if _has(OTHER_ADDRESS):
        status = _try_from(OTHER_ADDRESS, shop.url, {"email": customer.email, "password": customer.password})
        bench.expect(
            status == 201,
            did=f"signed in with the right password, from {OTHER_ADDRESS}",
            expected="201: tries from one address do not lock out a customer at another address",
            got=status,
            why="When the gateway does not set the address, all visitors seem to come from the gateway.",
            look=f"{CADDYFILE}: request_header X-Client-Address",
        )


@check("internal-headers-are-removed", task="keep-inside", until="in-the-dark")
def _(bench: Bench) -> None:
    """Headers that only internal processes may send do not arrive, and the client's address is the gateway's word."""
    claimed = {"X-Client-Address": "203.0.113.7", "X_Client_Address": "203.0.113.8"}
    with _echo(bench) as echo:
        named, without = _echoed(echo, "GET", "/echo", headers={"Connection": "X-Client-Address"})
        answer, seen = _echoed(echo, "GET", "/echo", headers={**dict.fromkeys(FORGED, "forged"), **claimed})
    for name in FORGED:
        bench.expect(
            name.lower() not in seen["headers"],
            did=f"put an echo in the monolith's place: {answer.curl}",
            expected=f"no header {name} at the monolith",
            got=f"{name}: {seen['headers'].get(name.lower())}",
            why="The processes behind the gateway believe these headers. Whoever may send them can be anybody.",
            look=f"{CADDYFILE}: request_header; {_pattern_of(name)}",
        )
    addresses = {name: text for name, text in seen["headers"].items() if name.endswith("client-address")}
    bench.expect(
        addresses == {"x-client-address": "127.0.0.1"} and "x_client_address" not in seen["headers"],
        did=f"put an echo in the monolith's place: {answer.curl}",
        expected="X-Client-Address: 127.0.0.1, the address that the request came from, without a port",
        got=addresses or "no X-Client-Address",
        why="The shop counts the tries to sign in for each of these addresses.",
        look=f"{CADDYFILE}: request_header X-Client-Address",
    )
    bench.expect(
        without["headers"].get("x-client-address") == "127.0.0.1",
        did=f"put an echo in the monolith's place: {named.curl}",
        expected="X-Client-Address: 127.0.0.1, although the client names the header in Connection",
        got=without["headers"].get("x-client-address") or "no X-Client-Address",
        why="A proxy takes the headers that Connection names out of the request. Without the address the shop cannot "
        "count this client's tries.",
        look=f"{CADDYFILE}: request_header -Connection",
    )


@contextmanager
def _echo(bench: Bench) -> Iterator[Shop]:
    """A shop with the learner's gateway, in which an echo takes the monolith's place."""
    with bench.boot(bench.copy({"echo.py": ECHO, "topology.py": WITH_AN_ECHO})) as shop:
        yield shop


def _echoed(echo: Shop, method: str, path: str, **options: Any) -> tuple[Answer, dict[str, Any]]:
    """The answer, and the request as it arrived at the echo: method, path, body, and headers in lower case."""
    answer = echo.ask(method, path, **options)
    seen = answer.json()
    if not isinstance(seen, dict) or "headers" not in seen:
        seen = {"method": "nothing arrived", "path": "nothing arrived", "body": "", "headers": []}
    return answer, {**seen, "headers": {name.lower(): text for name, text in seen["headers"]}}


def _pattern_of(name: str) -> str:
    return "X_*" if name.startswith("X_") else f"{'-'.join(name.split('-')[:2])}*"


def _expect_hidden(bench: Bench, answer: Answer, more: str = "") -> None:
    bench.expect(
        answer.status == 404,
        did=answer.curl,
        expected="404, as for any path that does not exist",
        got=more or answer,
        why="Metrics show what the shop sells, /readyz what it needs, and soon /internal has customers' orders.",
        look=f"{CADDYFILE}: the paths of the matcher; `/internal/*` has everything below /internal",
    )


def _types_of_problems(shop: Shop) -> set[str]:
    """The types of problems that the contract has."""
    return set(PROBLEM.findall(shop.ask("GET", "/api/openapi.yaml").text))


def _expect_problem(bench: Bench, answer: Answer, types: set[str], fault: str) -> None:
    problem = answer.json()
    bench.expect(
        "application/problem+json" in answer.headers.get("Content-Type", "")
        and isinstance(problem, dict)
        and problem.get("status") == answer.status
        and all(isinstance(problem.get(name), str) and problem[name] for name in ("type", "title")),
        did=f"{fault}: {answer.curl}",
        expected=f"Content-Type: application/problem+json, and JSON with type, title and status {answer.status}",
        got=f"Content-Type: {answer.headers.get('Content-Type')}, {answer}",
        why="Every error of the shop's API is a problem document, also when the gateway sends it.",
        look=f"{CADDYFILE}: handle_errors",
    )
    bench.expect(
        problem["type"] in types,
        did=f"{fault}: {answer.curl}",
        expected="one of the types of problems in docs/openapi.yaml, such as /problems/bad-upstream",
        got=f"the type {problem['type']}",
        why="Programs decide by the type what to do, and know those of the contract.",
        look=f"{CADDYFILE}: handle_errors",
    )


def _expect_page(bench: Bench, page: Answer, fault: str) -> None:
    bench.expect(
        "text/html" in page.headers.get("Content-Type", "") and "<h1" in page.text.lower(),
        did=f"{fault}: {page.curl}",
        expected="Content-Type: text/html, and a page with a heading",
        got=f"Content-Type: {page.headers.get('Content-Type')}, {page}",
        why="With an empty page a visitor cannot see what is wrong.",
        look=f"{CADDYFILE}: handle_errors",
    )


def _headers_of(answer: Answer) -> set[str]:
    """The names of its headers that a gateway may not change."""
    return {name.lower() for name in answer.headers} - OF_EACH_HOP


def _doubt_if_late(bench: Bench, answer: Answer, limit: float) -> None:
    """Inconclusive when the answer came a little late and the machine was busy."""
    a_little_late = limit <= answer.seconds < CLEARLY_LATE * limit
    if answer.status and a_little_late and (busy := bench.busy()) > BUSY:
        raise bench.inconclusive(
            f"the answer took {answer.seconds:.1f} s while other programs used {busy:.1f} cores"
        )


def _sign_in(shop: Shop) -> tuple[Answer, Visitor]:
    """Sign in like a browser: by the form, with a cookie jar."""
    visitor = shop.visitor()
    form = {"email": "ada@example.com", "password": "correct-horse-battery", "next": "/orders?page=1"}
    return visitor.ask("POST", "/sign-in", form=form, headers={"Origin": shop.url}), visitor


def _cookies(answer: Answer, shop: Shop) -> list[str]:
    """The names of the cookies that are set, with PORT for the shop's own."""
    own = f"_{urlsplit(shop.url).port}"
    names = [cookie.partition("=")[0] for cookie in answer.set_cookies]
    return [name.removesuffix(own) + "_PORT" if name.endswith(own) else name for name in names]


def _has(address: str) -> bool:
    """Whether this machine has the address. Linux has all of 127.0.0.0/8, macOS only 127.0.0.1."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _try_from(address: str, url: str, body: dict[str, str]) -> int:
    host, port = urlsplit(url).hostname or "", urlsplit(url).port
    connection = http.client.HTTPConnection(host, port, timeout=10, source_address=(address, 0))
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/sessions", json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()

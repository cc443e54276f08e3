"""04: a gateway stands in front of the shop, and visitors do not notice."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import urlsplit

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check

DEAD_SECONDS, HUNG_SECONDS, CLIENT_TIMEOUT = 1.0, 5.0, 15.0
BUSY = 0.5
"""Cores that other programs use. Above this, a late answer is not held against the gateway."""
TRIES = 10
OTHER_ADDRESS = "127.0.0.2"
INSIDE = ("/metrics", "/readyz", "/healthz", "/internal/events?after=0", "/internal/anything")
CADDYFILE = "Caddyfile"


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
        bench.same("GET", path, why=why, look=CADDYFILE)
    bench.same("DELETE", "/api/products", why=why, look=CADDYFILE)
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
    with shop.killed("monolith"):
        page = shop.try_ask("GET", "/", headers={"Accept": "text/html"}, timeout=CLIENT_TIMEOUT)
        program = shop.try_ask("GET", "/api/products", timeout=CLIENT_TIMEOUT)
    for answer in (page, program):
        _doubt_if_late(bench, answer, DEAD_SECONDS)
        bench.expect(
            answer.status in (502, 503) and answer.seconds < DEAD_SECONDS,
            did=f"killed the monolith: {answer.curl}",
            expected=f"502 or 503 in less than {DEAD_SECONDS:g} s",
            got=f"{answer} after {answer.seconds:.2f} s",
            why="Waiting does not help when the process is dead. A client that knows at once can do something else.",
            look=CADDYFILE,
        )
    problem = program.json()
    bench.expect(
        "application/problem+json" in program.headers.get("Content-Type", "")
        and isinstance(problem, dict)
        and problem.get("status") == program.status,
        did=f"killed the monolith: {program.curl}",
        expected="Content-Type: application/problem+json, and a JSON object with type, title and status",
        got=f"Content-Type: {program.headers.get('Content-Type')}, {program}",
        why="Every error of the shop's API is a problem document, also when the gateway sends it.",
        look=f"{CADDYFILE}: handle_errors",
    )
    bench.expect(
        "text/html" in page.headers.get("Content-Type", "") and "<h1" in page.text.lower(),
        did=f"killed the monolith: {page.curl}",
        expected="Content-Type: text/html, and a page with a heading",
        got=f"Content-Type: {page.headers.get('Content-Type')}, {page}",
        why="With an empty page a visitor cannot see what is wrong.",
        look=f"{CADDYFILE}: handle_errors",
    )
    bench.note(f"{max(page.seconds, program.seconds) * 1000:.0f} ms")


@check("a-hung-shop-times-out", task="say-so", load=True)
def _(bench: Bench) -> None:
    """When the monolith takes a request and never answers, the gateway gives up within five seconds."""
    shop = bench.shop()
    with shop.paused("monolith"):
        answer = shop.try_ask("GET", "/api/categories", timeout=CLIENT_TIMEOUT)
    _doubt_if_late(bench, answer, HUNG_SECONDS)
    bench.expect(
        answer.status in (502, 503, 504) and answer.seconds < HUNG_SECONDS,
        did=f"paused the monolith: {answer.curl}",
        expected=f"a 504 (or 502, 503): an answer within {HUNG_SECONDS:g} s",
        got=f"{answer} after {answer.seconds:.1f} s",
        why="A hang is worse than a crash: each visitor holds a connection until none is left.",
        look=f"{CADDYFILE}: the timeouts of reverse_proxy's transport",
    )
    bench.note(f"{answer.status} after {answer.seconds:.1f} s")


@check("internal-routes-are-hidden", task="keep-inside")
def _(bench: Bench) -> None:
    """Metrics, health and internal routes cannot be reached from outside."""
    shop = bench.shop()
    for path in INSIDE:
        answer = shop.ask("GET", path)
        bench.expect(
            answer.status == 404,
            expected="404, as for any path that does not exist",
            got=answer,
            why="Metrics show what the shop sells, /readyz what it needs, and soon /internal has customers' orders.",
            look=CADDYFILE,
        )


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


def _doubt_if_late(bench: Bench, answer: Answer, limit: float) -> None:
    """Inconclusive when the answer came late and the machine was busy."""
    if answer.status and answer.seconds >= limit and (busy := bench.busy()) > BUSY:
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

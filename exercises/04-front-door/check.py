"""04: a gateway stands in front of the shop, and nobody notices."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import urlsplit

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check

AT_ONCE, AT_LAST, NEVER = 1.0, 5.0, 15.0
BUSY = 0.5
"""Cores that others use: beyond this, an answer that is late says little about the gateway."""
TRIES = 10
ELSEWHERE = "127.0.0.2"
INSIDE = ("/metrics", "/readyz", "/healthz", "/internal/events?after=0", "/internal/anything")
DOOR = "Caddyfile"


@check("answers-as-before", task="pass-on", oracle=True)
def _(bench: Bench) -> None:
    """Through the gateway, pages and API answer what they answered without it."""
    sku = bench.some_sku()
    why = "A door that changes what goes through it breaks clients that nobody here has ever seen."
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
        bench.same("GET", path, why=why, look=DOOR)
    bench.same("DELETE", "/api/products", why=why, look=DOOR)
    wrong = {"email": f"nobody-{bench.seed}@example.com", "password": "not-my-password"}
    bench.same("POST", "/api/sessions", json=wrong, why=why, look=DOOR)
    bench.same("PUT", "/api/cart", json={}, headers={"X-Request-Id": "kept-42"}, why=why, look=DOOR)
    for customer in (bench.oracle().customer(), bench.shop().customer()):
        put = customer.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 2})
    bench.expect(
        put.status == 200,
        expected="200: a body and a token arrive as they were sent",
        got=put,
        why=why,
        look=DOOR,
    )


@check("cookies-and-redirects", task="pass-on", oracle=True)
def _(bench: Bench) -> None:
    """Signing in by the form works: cookies pass both ways, and redirects lead back to the door."""
    theirs, _ = _sign_in(bench.oracle())
    mine, visitor = _sign_in(bench.shop())
    bench.expect(
        mine.status == theirs.status and mine.headers.get("Location") == theirs.headers.get("Location"),
        did=mine.curl,
        expected=f"{theirs.status} and Location: {theirs.headers.get('Location')}",
        got=f"{mine.status} and Location: {mine.headers.get('Location')}",
        why="The shop compares where a form came from with the Host that it was asked for, and sends visitors on.",
        look=f"{DOOR}: what happens to the Host header",
    )
    names = [cookie.partition("=")[0] for cookie in mine.set_cookies]
    bench.expect(
        names == [cookie.partition("=")[0] for cookie in theirs.set_cookies],
        did=mine.curl,
        expected="the cookies " + ", ".join(cookie.partition("=")[0] for cookie in theirs.set_cookies),
        got=", ".join(names) or "no cookie",
        why="A sign-in is a cookie.",
        look=DOOR,
    )
    orders = visitor.ask("GET", "/orders")
    bench.expect(
        orders.status == 200,
        expected="200: the page of somebody who is signed in",
        got=orders,
        why="The browser sends the cookie back with every request, and it has to arrive.",
        look=DOOR,
    )


@check("dead-is-said-at-once", task="say-so")
def _(bench: Bench) -> None:
    """With the monolith dead, visitors get a 502 or 503 within a second that a person or a program can read."""
    shop = bench.shop()
    with shop.killed("monolith"):
        page = shop.try_ask("GET", "/", headers={"Accept": "text/html"}, timeout=NEVER)
        program = shop.try_ask("GET", "/api/products", timeout=NEVER)
    for answer in (page, program):
        _doubt_if_late(bench, answer, AT_ONCE)
        bench.expect(
            answer.status in (502, 503) and answer.seconds < AT_ONCE,
            did=f"killed the monolith: {answer.curl}",
            expected=f"502 or 503 in less than {AT_ONCE:g} s",
            got=f"{answer} after {answer.seconds:.2f} s",
            why="Waiting does not bring a dead process back. Whoever knows at once can do something else.",
            look=DOOR,
        )
    problem = program.json()
    bench.expect(
        "application/problem+json" in program.headers.get("Content-Type", "")
        and isinstance(problem, dict)
        and problem.get("status") == program.status,
        did=f"killed the monolith: {program.curl}",
        expected="Content-Type: application/problem+json, and a JSON object with type, title and status",
        got=f"Content-Type: {program.headers.get('Content-Type')}, {program}",
        why="Every error of the shop's API is a problem, also when it is the door that says it.",
        look=f"{DOOR}: handle_errors",
    )
    bench.expect(
        "text/html" in page.headers.get("Content-Type", "") and "<h1" in page.text.lower(),
        did=f"killed the monolith: {page.curl}",
        expected="Content-Type: text/html, and a page with a heading",
        got=f"Content-Type: {page.headers.get('Content-Type')}, {page}",
        why="An empty page looks like a broken browser.",
        look=f"{DOOR}: handle_errors",
    )
    bench.note(f"{max(page.seconds, program.seconds) * 1000:.0f} ms")


@check("hung-is-given-up", task="say-so", load=True)
def _(bench: Bench) -> None:
    """A monolith that takes a request and never answers is given up within five seconds."""
    shop = bench.shop()
    with shop.paused("monolith"):
        answer = shop.try_ask("GET", "/api/categories", timeout=NEVER)
    _doubt_if_late(bench, answer, AT_LAST)
    bench.expect(
        answer.status in (502, 503, 504) and answer.seconds < AT_LAST,
        did=f"paused the monolith: {answer.curl}",
        expected=f"a 504 (or 502, 503): an answer within {AT_LAST:g} s",
        got=f"{answer} after {answer.seconds:.1f} s",
        why="A hang is worse than a crash: each visitor holds a connection until there are none left.",
        look=f"{DOOR}: the timeouts of reverse_proxy's transport",
    )
    bench.note(f"{answer.status} after {answer.seconds:.1f} s")


@check("inside-is-not-shown", task="keep-inside")
def _(bench: Bench) -> None:
    """What belongs to a process and not to the shop cannot be reached from outside."""
    shop = bench.shop()
    for path in INSIDE:
        answer = shop.ask("GET", path)
        bench.expect(
            answer.status == 404,
            expected="404, as for any path that nobody has",
            got=answer,
            why="Metrics say what the shop sells, /readyz what it stands on, and soon /internal has customers' orders.",
            look=DOOR,
        )


@check("nobody-signs-for-the-door", task="keep-inside")
def _(bench: Bench) -> None:
    """The gateway says where a request came from, and what a client claims of it counts for nothing."""
    shop, customer = bench.shop(), bench.shop().customer()
    wrong = {"email": customer.email, "password": "not-my-password"}
    for number in range(TRIES + 1):
        claimed = {"X-Client-Address": f"203.0.113.{number + 1}"}
        answer = shop.ask("POST", "/api/sessions", json=wrong, headers=claimed)
    bench.expect(
        answer.status == 429,
        did=f"tried {TRIES + 1} wrong passwords, each with another X-Client-Address: {answer.curl}",
        expected=f"429 to the last: {TRIES} tries are enough from one place",
        got=answer,
        why="The shop believes the door when it says who comes from where. Nobody else may say it.",
        look=f"{DOOR}: request_header X-Client-Address",
    )
    if _has(ELSEWHERE):
        status = _try_from(ELSEWHERE, shop.url, {"email": customer.email, "password": customer.password})
        bench.expect(
            status == 201,
            did=f"signed in with the right password, coming from {ELSEWHERE}",
            expected="201: somebody elsewhere is not locked out by a stranger's tries",
            got=status,
            why="When the door does not say where visitors come from, all of them seem to come from the door.",
            look=f"{DOOR}: request_header X-Client-Address",
        )


def _doubt_if_late(bench: Bench, answer: Answer, limit: float) -> None:
    """An answer that came, but late on a busy machine, says nothing."""
    if answer.status and answer.seconds >= limit and (busy := bench.busy()) > BUSY:
        raise bench.inconclusive(f"it took {answer.seconds:.1f} s, while others used {busy:.1f} cores")


def _sign_in(shop: Shop) -> tuple[Answer, Visitor]:
    """Sign in as a browser does it: by the form, with a cookie jar."""
    visitor = shop.visitor()
    form = {"email": "ada@example.com", "password": "correct-horse-battery", "next": "/orders?page=1"}
    return visitor.ask("POST", "/sign-in", form=form, headers={"Origin": shop.url}), visitor


def _has(address: str) -> bool:
    """Whether this machine has the address: Linux has all of 127, others the first only."""
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

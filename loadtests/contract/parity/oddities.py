"""Scenes with requests that no usual client sends: odd paths, methods, hosts and bodies, and what is no HTTP at all."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from loadtests.contract.parity.scenes import FORM
from loadtests.contract.parity.steps import JSON, PASSWORD, Step, on_wire
from loadtests.contract.parity.writer import Writer

PATHS = (
    *(
        "/API/products",
        "/Api/Products/P00001",
        "/api/PRODUCTS",
        "/API/openapi.yaml",
        "/.Well-Known/jwks.json",
    ),
    *("/METRICS", "/Healthz", "/READYZ", "/Internal/x", "/Cart", "/SEARCH"),
    *("/internal", "/internal/x", "/internal/events?after=0", "/metrics/", "/nowhere"),
    *("/api", "/api/", "/.well-known", "/.well-known/x", "/api/openapi.yaml/", "/static/nothing.css"),
    *("/api%2Fproducts", "/api/products%2fP00001", "/%61pi/categories", "/products/%00", "/api/products/%ff"),
    *("/%25", "/products/a%0ab", "/api/products;x=1", "/api\\products", "/api/products/", "/cart/"),
    *("/api/../cart", "/api/%2e%2e/cart", "/./cart", "//cart", "//internal/x", "/./metrics"),
)
CONTRACT = "/api/openapi.yaml"
CONDITIONS = (
    *({"Range": value} for value in ("bytes=0-9", "bytes=99999999-", "nonsense")),
    *({name: value} for name in ("If-Match", "If-None-Match") for value in ('"x"', "*")),
    {"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
)
METHODS = ("OPTIONS", "HEAD", "TRACE", "BREW", "PATCH", "DELETE")
EXISTING = (
    CONTRACT,
    "/",
    "/cart",
    "/sign-in",
    "/api/cart",
    "/api/orders",
    "/api/products",
    "/.well-known/jwks.json",
)
HOP_BY_HOP = (
    "Connection: close, {name}",
    "Connection: {name}\nConnection: close",
    "CONNECTION: keep-alive,,{name}",
    "Connection: Upgrade, {name}\nUpgrade: websocket\nSec-WebSocket-Key: eA==\nSec-WebSocket-Version: 13",
    "Connection: Upgrade, HTTP2-Settings, {name}\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "Proxy-Connection: {name}",
    "Keep-Alive: {name}\nTE: {name}",
)
BROKEN_TARGETS = ("/%zz", "/api/products/%zz", "/products/P%", "/cart%2", "/a b")
BROKEN_LINES = ("no colon", "X-A : b", "X-A: \0", ": b", "Host: {host}")
BROKEN_LENGTHS = ("-1", "+2", "x", "9" * 20, "2\nContent-Length: 3")
NOT_HTTP = (
    *("nonsense", "GET /", "GET / HTTP/9.9\nHost: {host}", "G@T[ / HTTP/1.1\nHost: {host}"),
    *(f"GET {target} HTTP/1.1\nHost: {{host}}" for target in BROKEN_TARGETS),
    *(f"GET / HTTP/1.1\nHost: {{host}}\n{line}" for line in BROKEN_LINES),
    *(f"POST /sign-in HTTP/1.1\nHost: {{host}}\nContent-Length: {length}" for length in BROKEN_LENGTHS),
    f"GET /api/products?q={'q' * 70_000} HTTP/1.1\nHost: {{host}}",
    "\n".join(["GET / HTTP/1.1", "Host: {host}", *(f"X-{number}: a" for number in range(150))]),
)
NO_HOSTS = ("Host:", "Host: a b", "Host: a/b", "Host: user@shop", "Host: a\nHost: b", "X-No: host")
TOO_LARGE = "x" * 1_200_000


def odd_paths(writer: Writer) -> None:
    """Paths in another case, encoded or not cleaned, and paths of a single process."""
    heads = [f"GET {path} HTTP/1.1\nHost: {{host}}" for path in writer.rng.sample(PATHS, 6)]
    writer.add(*(on_wire("odd path", head) for head in heads))


def odd_methods(writer: Writer) -> None:
    """Other methods on paths that exist, and the contract's file by parts and under conditions."""
    writer.add(
        *(Step("odd method", writer.choose(METHODS), writer.choose(EXISTING)) for _ in range(3)),
        Step("odd method", "OPTIONS", writer.choose((CONTRACT, "/api/cart", "/sign-in"))),
        *(
            Step("part of the contract", "GET", CONTRACT, headers=one)
            for one in writer.rng.sample(CONDITIONS, 2)
        ),
    )


def odd_forms(writer: Writer) -> None:
    """A sign-in with a NUL, and with a password that is too long for any account."""
    password = writer.choose((f"{PASSWORD}\0", "\0", "x" * 129))
    for email in (writer.email(), f"{writer.email()}\0"):
        body = urlencode({"email": email, "password": password, "next": "/"})
        writer.add(Step("sign-in form", "POST", "/sign-in", (), "", FORM, body))


def odd_headers(writer: Writer) -> None:
    """Headers about the connection that name others; a body that expects to be asked for."""
    name = writer.customer()
    for trick in writer.rng.sample(HOP_BY_HOP, 2):
        lines = trick.format(name=writer.choose(("Authorization", "X-Request-Id", "Host")))
        head = f"GET /api/cart HTTP/1.1\nHost: {{host}}\nAuthorization: Bearer {{token}}\n{lines}"
        writer.add(on_wire("header about the connection", head, actor=name))
    body = json.dumps({"email": writer.email(), "password": "not-my-password"})
    head = f"{_post('/api/sessions')}\nContent-Length: {len(body)}\nExpect: 100-continue"
    writer.add(on_wire("expected body", head, body=body))


def odd_bodies(writer: Writer) -> None:
    """Bodies that are far too large, in chunks, or shorter than they say."""
    head = _post(writer.choose(("/api/sessions", "/api/customers", "/sign-in", "/api/nothing")))
    chunks = writer.choose(("0\r\n\r\n", "2\r\n{}\r\n0\r\n\r\n", "ZZ\r\n", "5\r\n{", ""))
    chunked = f"{head}\nTransfer-Encoding: chunked"
    writer.add(
        on_wire("chunked body", chunked, body=chunks),
        on_wire("chunked body", f"{chunked}\nContent-Length: 2", body=chunks),
        on_wire("other encoding", f"{head}\nTransfer-Encoding: gzip, chunked", body=chunks, is_http=False),
        on_wire("body that ends early", f"{head}\nContent-Length: 50", body="{", ends_early=True),
        Step("signIn", "POST", "/api/sessions", (), "", JSON, TOO_LARGE),
    )


def odd_hosts(writer: Writer) -> None:
    """A host that is missing, double or none; the old HTTP, which needs none."""
    path = writer.choose(("/api/categories", "/"))
    no_host = writer.choose(NO_HOSTS)
    writer.add(
        on_wire("no host", f"GET {path} HTTP/1.1\nHost:"),
        on_wire("no host", f"GET {path} HTTP/1.1\n{no_host}", is_http=False),
        on_wire("old HTTP", f"GET {path} HTTP/1.0"),
        on_wire("whole URL", f"GET http://elsewhere.example{path} HTTP/1.1\nHost: {{host}}"),
    )


def not_http(writer: Writer) -> None:
    """What the server refuses before the shop sees it."""
    writer.add(*(on_wire("not HTTP", head, is_http=False) for head in writer.rng.sample(NOT_HTTP, 4)))


def _post(path: str) -> str:
    kind = "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"
    return f"POST {path} HTTP/1.1\nHost: {{host}}\nOrigin: http://{{host}}\nContent-Type: {kind}"

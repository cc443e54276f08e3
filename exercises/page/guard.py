"""Lets only this machine's own browser window in: the page starts commands, so no other web page may reach it.

Every path begins with a secret token. The Host must be this address, so that a name of another site that points to
127.0.0.1 is refused. A request that changes something must come from the page itself.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

MAX_BODY_BYTES = 16_384
TOKEN_BYTES = 24
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    # No other site learns the token. A policy that tells nobody would make a form of the page come from "null".
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def new_token() -> str:
    """A token that nobody can guess; it is part of the page's address."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Guard:
    """Wraps a WSGI application; what it refuses does not reach it."""

    def __init__(self, application: Wsgi, port: int, token: str) -> None:
        self._application = application
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._token = token

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the request, or refuse it with one sentence."""
        if refusal := self._refusal(environ):
            status, sentence = refusal
            headers = [("Content-Type", "text/plain; charset=utf-8"), *HEADERS]
            start_response(f"{status.value} {status.phrase}", headers)
            return [f"{sentence}\n".encode()]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            own = {name.lower() for name, _ in headers}
            return start_response(
                status, headers + [each for each in HEADERS if each[0].lower() not in own], *rest
            )

        prefix, rest = f"/{self._token}", environ["PATH_INFO"][len(self._token) + 1 :]
        return self._application({**environ, "SCRIPT_NAME": prefix, "PATH_INFO": rest or "/"}, start)

    def _refusal(self, environ: dict[str, Any]) -> tuple[HTTPStatus, str] | None:
        host, method = environ.get("HTTP_HOST", ""), environ["REQUEST_METHOD"]
        if host not in self._hosts:
            return HTTPStatus.FORBIDDEN, "This page answers only at the address that exercises ui printed."
        given = environ["PATH_INFO"].split("/", 2)[1:2]
        if not given or not hmac.compare_digest(given[0].encode(), self._token.encode()):
            return (
                HTTPStatus.NOT_FOUND,
                "There is nothing here; open the whole address that exercises ui printed.",
            )
        if method in {"GET", "HEAD"}:
            return None
        if method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and POST are answered here."
        if environ.get("HTTP_ORIGIN") != f"http://{host}":
            return HTTPStatus.FORBIDDEN, "A button of this page was pressed from somewhere else."
        return _refused_body(environ)


def _refused_body(environ: dict[str, Any]) -> tuple[HTTPStatus, str] | None:
    length = environ.get("CONTENT_LENGTH") or ("" if environ.get("HTTP_TRANSFER_ENCODING") else "0")
    if not length.isascii() or not length.isdigit():
        return HTTPStatus.LENGTH_REQUIRED, "A request needs a Content-Length here."
    if int(length) > MAX_BODY_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {MAX_BODY_BYTES} bytes here."
    return None

"""What the gateway answers itself: a problem document for programs, a page for browsers, plain text for services."""

from __future__ import annotations

import json
from pathlib import Path

from microservices.launcher.gateway_requests import Json, path_matcher

Problem = tuple[int, str, str, str]  # status, slug, title, detail

REQUEST_ID = {"X-Request-Id": ["{http.request.header.X-Request-Id}"]}
NOT_FOUND: Problem = (404, "not-found", "There is nothing here", "No route of the shop has this path.")
PROBLEMS: tuple[Problem, ...] = (
    (
        400,
        "malformed-request",
        "The request cannot be read",
        "The Host is missing or not valid, or the body is not complete.",
    ),
    (405, "method-not-allowed", "This cannot be done here", "Use GET, HEAD, OPTIONS on this path."),
    (
        411,
        "length-required",
        "The length of the body is missing",
        "Send the body with a Content-Length, not in chunks.",
    ),
    (413, "body-too-large", "The body is too large", "A body may have at most 65536 bytes."),
    (
        502,
        "bad-upstream",
        "A service closed the connection",
        "The connection was lost; try again in a moment.",
    ),
    (
        503,
        "unavailable",
        "The shop cannot answer just now",
        "No replica is free to answer; try again in a moment.",
    ),
    (
        504,
        "upstream-timeout",
        "A part of the shop is too slow",
        "No answer came in time; try again in a moment.",
    ),
)
HTML = "text/html; charset=utf-8"
UNEXPECTED: Problem = (500, "internal-error", "Something went wrong", "The gateway made a mistake.")
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    '<h1>{title}</h1><p>{detail}</p><p><a href="/">Back to the shop</a></p></html>'
)


def error_routes(public: int) -> list[Json]:
    """Caddy's routes for requests that failed; `public` is the public port."""
    on_public_port: Json = {"vars": {"{http.request.local.port}": [str(public)]}}
    pages: Json = {**on_public_port, "not": [path_matcher(("/api/*", "/.well-known/*"))]}
    services: Json = {"not": [on_public_port]}
    return [
        {
            "match": [pages],
            "handle": [{"handler": "subroute", "routes": [_for_status(p[0], _page(*p)) for p in PROBLEMS]}],
        },
        {
            # Plain text, so that the calling service can tell it from a problem that the called service sent.
            "match": [services],
            "handle": [{"handler": "subroute", "routes": [_for_status(p[0], _plain(*p)) for p in PROBLEMS]}],
        },
        *(_for_status(p[0], problem_response(*p)) for p in PROBLEMS),
        {"handle": [problem_response(*UNEXPECTED)]},
    ]


def problem_response(status: int, slug: str, title: str, detail: str) -> Json:
    """A handler that answers with a problem document."""
    body = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail}
    return _response(status, "application/problem+json", json.dumps(body))


def file_routes(path: str, file: Path) -> list[Json]:
    """Routes that answer a path from a file, always with the whole of it, as the monolith's route does."""
    here = path_matcher((path,))
    allow = {"Allow": ["GET, HEAD, OPTIONS"], **REQUEST_ID}
    options = {"handler": "static_response", "status_code": 200, "headers": {**allow, "Content-Type": [HTML]}}
    serve: list[Json] = [
        {
            "handler": "headers",
            "request": {"delete": ["Range", "If-*"]},
            "response": {
                "set": {"Content-Type": ["application/yaml"], **REQUEST_ID},
                "delete": ["Accept-Ranges", "Etag", "Last-Modified"],
                "deferred": True,
            },
        },
        {"handler": "rewrite", "uri": f"/{file.name}"},
        {"handler": "file_server", "root": str(file.parent)},
    ]
    refuse: list[Json] = [
        {"handler": "headers", "response": {"set": allow}},
        {"handler": "error", "status_code": 405},
    ]
    return [
        {"match": [{**here, "method": ["GET", "HEAD"]}], "handle": serve, "terminal": True},
        {"match": [{**here, "method": ["OPTIONS"]}], "handle": [options], "terminal": True},
        {"match": [here], "handle": refuse, "terminal": True},
    ]


def _page(status: int, _slug: str, title: str, detail: str) -> Json:
    return _response(status, HTML, PAGE.format(title=title, detail=detail))


def _plain(status: int, _slug: str, title: str, _detail: str) -> Json:
    return _response(status, "text/plain; charset=utf-8", title)


def _response(status: int, content_type: str, body: str) -> Json:
    headers = {"Content-Type": [content_type], **REQUEST_ID}
    if status == 503:
        headers["Retry-After"] = ["1"]
    if status == 411:
        headers["Connection"] = ["close"]  # or Caddy would wait for the rest of the chunks before it answers
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}


def _for_status(status: int, handler: Json) -> Json:
    return {
        "match": [{"vars": {"{http.error.status_code}": [str(status)]}}],
        "handle": [handler],
        "terminal": True,
    }

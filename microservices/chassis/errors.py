"""Errors as RFC 9457 problem details: each service declares its own, one handler renders them all.

The client of another service makes the same class again from the response, so that `except OutOfStock` works on both
sides of a call.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Self

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from .runtime import runtime

log = logging.getLogger(__name__)

CUT_OFF = "shop.body_is_cut_off"  # set in the WSGI environ by bodies.py
MEMBERS = frozenset({"type", "title", "status", "detail", "instance"})


HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
"""A name or address, and a port. Two Host headers arrive as one with a comma."""


class Problem(Exception):  # RFC 9457's word for it
    """A refusal; a subclass gives status, slug and title, and the facts become extension members."""

    status: int = 500
    slug: str = "internal-error"
    title: str = "Something went wrong"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def to_dict(self) -> dict[str, Any]:
        """The problem as a JSON-ready dict."""
        return {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.facts,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """The problem that another service sent; a subclass's own constructor is not called."""
        problem = cls.__new__(cls)
        facts = {name: value for name, value in document.items() if name not in MEMBERS}
        Problem.__init__(problem, str(document.get("detail", cls.title)), **facts)
        return problem


class MalformedRequest(Problem):
    status, slug, title = 400, "malformed-request", "The request cannot be read"


class LengthRequired(Problem):
    status, slug, title = 411, "length-required", "The length of the body is missing"


class NotAuthenticated(Problem):
    status, slug, title = 401, "not-authenticated", "Sign in first"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    status, slug, title = 403, "forbidden", "Not allowed"


class BodyTooLarge(Problem):
    status, slug, title = 413, "body-too-large", "The body is too large"


class UnsupportedMediaType(Problem):
    status, slug, title = 415, "unsupported-media-type", "The body must be JSON"


class MalformedJson(Problem):
    status, slug, title = 400, "malformed-json", "The body is not valid JSON"


class InvalidRequest(Problem):
    status, slug, title = 422, "invalid-request", "The request is not valid"


class Unavailable(Problem):
    status, slug, title = 503, "unavailable", "The shop cannot answer just now"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class NotFoundProblem(Problem):
    status, slug, title = 404, "not-found", "There is nothing here"


class MethodNotAllowedProblem(Problem):
    status, slug, title = 405, "method-not-allowed", "This cannot be done here"


class UpstreamError(Problem):
    """A call to another service failed; the subclass says how."""

    status, slug, title = 502, "bad-upstream", "A part of the shop gave no usable answer"
    passing: bool = False
    """The connection failed, or a proxy answered instead of the service: a retry may help."""


class UpstreamUnavailable(UpstreamError):
    """There is no connection, or the service answered that it is unavailable; a later call may succeed."""

    status, slug, title = Unavailable.status, Unavailable.slug, Unavailable.title
    headers: Mapping[str, str] = Unavailable.headers


class UpstreamTimeout(UpstreamError):
    """The service did not answer in time; whether it did the work is unknown."""

    status, slug, title = 504, "upstream-timeout", "A part of the shop did not answer in time"


class BadUpstream(UpstreamError):
    """The service answered, but not as agreed."""


class UnexpectedRefusal(BadUpstream):
    """The service refused the call (4xx) for a reason that we did not expect: the mistake is probably ours."""


def problem_from(document: dict[str, Any]) -> Problem:
    """The problem whose `to_dict` is `document`."""
    facts = {name: value for name, value in document.items() if name not in MEMBERS}
    problem = Problem(document["detail"], **facts)
    problem.slug = document["type"].removeprefix("/problems/")
    problem.status, problem.title = document["status"], document["title"]
    return problem


def problem_response(problem: Problem) -> Response:
    """Render a problem as application/problem+json."""
    response = Response(
        json.dumps(problem.to_dict()), status=problem.status, content_type="application/problem+json"
    )
    response.headers.update(problem.headers)
    return response


def init_app(app: Flask) -> None:
    """Answer every error with a problem; a service with a database adds `database_errors`."""
    app.url_value_preprocessor(_refuse_unusable)
    _sort_options(app)
    app.register_error_handler(Problem, problem_response)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def database_errors(app: Flask) -> None:
    """Answer 503 while the service's own database is locked, full or not reachable, which is temporary."""
    from sqlalchemy.exc import OperationalError, ProgrammingError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    def answer(error: Exception) -> Response:
        is_misfit = runtime().database.is_misfit(error)  # not temporary
        if is_misfit or isinstance(error, ProgrammingError):
            return _unexpected(error)
        return _database_error(error)

    for kind in (OperationalError, ProgrammingError, PoolTimeoutError):
        app.register_error_handler(kind, answer)


def _refuse_unusable(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """What the gateway refuses too, so that a client gets the same answer with and without one."""
    environ = request.environ
    host = environ.get("HTTP_HOST", "")
    is_bad_host = not HOST.fullmatch(host) and (host or environ["SERVER_PROTOCOL"] == "HTTP/1.1")
    if is_bad_host or environ.get(CUT_OFF):
        raise MalformedRequest("The Host is missing or not valid, or the body is not complete.")
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequired("Send the body with a Content-Length, not in chunks.")
    # PostgreSQL cannot store NUL in a text, so a path with NUL names nothing that exists.
    if values and any("\x00" in str(value) for value in values.values()):
        raise NotFoundProblem("No route of the shop has this path.")


def _sort_options(app: Flask) -> None:
    answer = app.make_default_options_response

    def answer_in_order() -> Response:
        response: Response = answer()
        response.headers["Allow"] = ", ".join(sorted(response.allow))
        return response

    app.make_default_options_response = answer_in_order  # type: ignore[method-assign]  # Flask's own has no order


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, NotFound):
        return problem_response(NotFoundProblem("No route of the shop has this path."))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        response = problem_response(MethodNotAllowedProblem(f"Use {allowed} on this path."))
        response.headers["Allow"] = allowed
        return response
    if error.response is not None:
        return error.get_response()  # type: ignore[return-value]  # abort() was called with a whole response
    return problem_response(InvalidRequest(error.description or "The request is not valid.", errors=[]))


def _database_error(error: Exception) -> Response:
    log.error("database unavailable: %s", getattr(error, "orig", error))
    return problem_response(Unavailable("The database did not answer in time; try again in a moment."))


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error on %s %s", request.method, request.path, exc_info=error)
    return problem_response(Problem("The shop made a mistake; it has been logged with the request id."))

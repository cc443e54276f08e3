"""The visitor's session: the token of a sign-in, stored in a cookie, and the check that a cookie needs.

A browser sends the cookie with every request to this shop, also with requests that another website makes it send.
SameSite=Lax stops most of these; the check of where a form came from stops the rest.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import abort, g, redirect, request
from werkzeug.wrappers import Response

from ..chassis.auth import session_cookie, verify_token
from ..chassis.errors import NotAuthenticated, UpstreamError
from ..chassis.runtime import runtime
from . import forms
from .settings import Settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LARGEST_FORM = 65_536


def visitor_token() -> str | None:
    """The token of the signed-in customer; None for anybody else, also when the sign-in has expired."""
    if "visitor" not in g:
        token = request.cookies.get(session_cookie()) or None
        g.visitor = token if token and _may_be_good(token) else None
    found: str | None = g.visitor
    return found


def customer_token(back_to: str = "") -> str:
    """The token of the signed-in customer; sends anybody else to sign in and then back here or to `back_to`."""
    found = visitor_token()
    if found is None:
        abort(sign_in_first(back_to))
    return found


def _may_be_good(token: str) -> bool:
    """Whether to continue with this token. When accounts is down before its keys were read, the service that owns
    the data decides: each service checks the token itself, and the pages show no private data without one.
    """
    try:
        verify_token(token)
    except NotAuthenticated:
        return False
    except UpstreamError:
        return True
    return True


def signed_in() -> bool:
    """Whether somebody is signed in."""
    return visitor_token() is not None


def sign_in_first(back_to: str = "") -> Response:
    """A redirect to the sign-in page and back; deletes the cookie of a sign-in that is no longer valid."""
    here = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return forget(redirect(f"/sign-in?next={quote(back_to or here, safe='/')}", 303))


def remember(response: Response, token: str, seconds: int) -> Response:
    """Sign in: the browser keeps the token, and no script can read it."""
    name, secure = session_cookie(), request.is_secure
    response.set_cookie(name, token, max_age=seconds, httponly=True, samesite="Lax", secure=secure, path="/")
    return response


def forget(response: Response) -> Response:
    """Sign out."""
    name = session_cookie()
    if name in request.cookies:
        response.delete_cookie(name, httponly=True, samesite="Lax", secure=request.is_secure, path="/")
    return response


def refuse_foreign_forms() -> None:
    """Refuse a request that changes something unless a page of this shop sent it; runs before every page."""
    if request.method in _SAFE:
        return
    if (request.content_length or 0) > _LARGEST_FORM:  # one in chunks was refused before: chassis/errors.py
        abort(413)
    source = request.headers.get("Origin") or request.headers.get("Referer", "")
    try:
        parts = urlsplit(source)
    except ValueError:
        parts = urlsplit("")
    sender = f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""
    is_ours = sender and parts.netloc.lower() == request.host.lower()
    if not is_ours and sender not in runtime().settings(Settings).trusted_origins:
        abort(403, forms.foreign(sender, request.host))

"""The pages to sign in, register and sign out."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from .. import accounts
from ..chassis.client_address import client_address
from ..chassis.errors import Problem
from . import forms, session
from .rendering import page

entrance = Blueprint("entrance", __name__)

DEMO_ACCOUNTS = (
    ("Ada", "ada@example.com", "a customer"),
    ("Grace", "grace@example.com", "another customer"),
    ("Admin", "admin@example.com", "who may set prices and stock"),
)


@entrance.get("/sign-in")
def show_sign_in() -> str | Response:
    """Show the sign-in page; a signed-in customer is redirected."""
    next_url = forms.local_path(request.args.get("next", "/"))
    return redirect(next_url, 303) if session.signed_in() else _entrance(next_url)


@entrance.post("/sign-in")
def sign_in() -> Response | tuple[str, int]:
    """Sign in."""
    next_url = forms.local_path(request.form.get("next", "/"))
    email, password = forms.typed(request.form, "email").lower(), request.form.get("password", "")
    if not forms.can_be_credentials(email, password):
        sentence = forms.refused_sign_in("wrong-credentials")
        return _entrance(next_url, sign_in_problem=sentence, email=email), 401
    try:
        return _enter(next_url, email, password)
    except Problem as refusal:
        sentence = forms.refused_sign_in(refusal.slug)
        if not sentence:
            raise
        return _entrance(next_url, sign_in_problem=sentence, email=email), refusal.status


@entrance.post("/register")
def register() -> Response | tuple[str, int]:
    """Register, and sign in at once."""
    next_url = forms.local_path(request.form.get("next", "/"))
    name, email = forms.typed(request.form, "name"), forms.typed(request.form, "email").lower()
    password = request.form.get("password", "")
    problems = forms.registration_problems(name, email, password)
    status = 422
    if not problems:
        try:
            accounts.register(email, password, name)
            return _enter(next_url, email, password)
        except Problem as refusal:
            if refusal.slug != "email-taken":
                raise
            problems, status = {"email": "Somebody registered with this email already. Sign in instead."}, 409
    return _entrance(next_url, register_problems=problems, new_name=name, new_email=email), status


@entrance.post("/sign-out")
def sign_out() -> Response:
    """Sign out."""
    return session.forget(redirect("/", 303))


@entrance.get("/register")
@entrance.get("/sign-out")
def to_sign_in() -> Response:
    """Redirect a visitor who reloads the address that a form was sent to."""
    return redirect("/sign-in", 303)


def _enter(next_url: str, email: str, password: str) -> Response:
    ticket = accounts.sign_in(email, password, client_address())
    return session.remember(redirect(next_url, 303), ticket["token"], ticket["expires_in"])


def _entrance(next_url: str, *, register_problems: dict[str, str] | None = None, **facts: str) -> str:
    return page(
        "sign_in.html",
        "sign-in",
        next=next_url,
        demo_accounts=DEMO_ACCOUNTS,
        register_problems=register_problems or {},
        **facts,
    )

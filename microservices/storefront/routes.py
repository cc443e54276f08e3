"""The pages for browsing, and what all pages of the shop have in common: the check of forms, and the error pages.

Buying is in `buying`, signing in and out in `entrance`.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from flask import Blueprint, abort, make_response, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from ..chassis.errors import (
    NotAuthenticated,
    NotFoundProblem,
    Problem,
    UnexpectedRefusal,
    UpstreamError,
    problem_response,
)
from ..chassis.observability import request_id
from . import forms, session
from .answers import Listed
from .buying import buying
from .clients import attempt, cart, catalog, inventory, recommendations
from .entrance import entrance
from .problems import UnknownProduct
from .rendering import (
    ErrorPage,
    add_headers,
    error_page,
    init_pages,
    last_page,
    page,
    search_link,
)

BESTSELLERS = 12
PAGE_SIZE = 20
BESIDE = 8
NOTHING: dict[str, Any] = {"items": []}
T = TypeVar("T")

log = logging.getLogger(__name__)
pages = Blueprint(
    "storefront", __name__, static_folder="static", static_url_path="/static", template_folder="templates"
)
pages.before_request(session.refuse_foreign_forms)
pages.register_blueprint(buying)
pages.register_blueprint(entrance)
init_pages(pages)


@pages.get("/")
def home() -> str:
    """Show the bestsellers and the categories."""
    best = catalog.products("", "", 1, BESTSELLERS)
    categories = items_of(attempt(catalog.categories))
    return page("home.html", "home", bestsellers=best["items"], total=best["total"], categories=categories)


@pages.get("/search")
def search() -> str:
    """Search the products, or list those of one category."""
    q, category, number = (
        forms.words(request.args),
        forms.category(request.args),
        forms.page_number(request.args),
    )
    token = session.visitor_token()
    found = catalog.products(category, q, number, PAGE_SIZE)
    in_cart = forms.quantities(attempt(cart.read, token) or NOTHING) if token else {}
    items = [{**item, "in_cart": in_cart.get(item["sku"], 0)} for item in found["items"]]
    categories = items_of(attempt(catalog.categories))
    return page(
        "search.html",
        "search",
        q=q,
        category=category,
        categories=categories,
        found={**found, "items": items},
        last=last_page(found),
        link=search_link(q, category),
    )


@pages.get("/products/<sku>")
def product(sku: str) -> str:
    """Show a product and what goes well with it."""
    if not forms.is_sku(sku):
        abort(404)
    token = session.visitor_token()
    in_cart = forms.quantities(attempt(cart.read, token) or NOTHING) if token else {}
    suggestion = attempt(recommendations.suggest, sku, list(in_cart), token, BESIDE)
    found = catalog.batch([sku, *(item["sku"] for item in items_of(suggestion))])["items"]
    if not found or found[0]["sku"] != sku:
        raise UnknownProduct(f"The shop has no product {sku}.")
    beside = found[1:]
    if suggestion is None:
        beside = [
            item for item in items_of(attempt(catalog.products, "", "", 1, BESIDE)) if item["sku"] != sku
        ]
    stock = attempt(inventory.availability, sku)
    return page(
        "product.html",
        product=found[0],
        beside=beside,
        degraded=suggestion is None,
        available=stock["available"] if stock else None,
        in_cart=in_cart.get(sku, 0),
    )


@pages.app_errorhandler(NotFound)
def nowhere(_error: NotFound) -> Response:
    """No route has this path: a person gets a page, a program a problem."""
    if f"/{request.path.lstrip('/')}".startswith(("/api/", "/.well-known/")):
        return problem_response(NotFoundProblem("No route of the shop has this path."))
    return add_headers(make_response(error_page(404)))  # without a route, the blueprint's hooks do not run


@pages.errorhandler(HTTPException)
def unusable(error: HTTPException) -> ErrorPage:
    """The request itself is not valid, such as a form from another site."""
    return error_page(error.code or 500, why=str(error.description) if error.code == 403 else "")


@pages.errorhandler(Problem)
def refused(problem: Problem) -> Response | ErrorPage:
    """A service refused or is down, and the page has no message of its own for it."""
    if isinstance(problem, NotAuthenticated):
        return session.sign_in_first()
    away = isinstance(problem, UpstreamError) and not isinstance(problem, UnexpectedRefusal)
    return error_page(503 if away else problem.status, problem.slug, request_id())


@pages.errorhandler(Exception)
def unexpected(error: Exception) -> ErrorPage:
    """The shop's own mistake."""
    log.error("no page for %s %s", request.method, request.path, exc_info=error)
    return error_page(500, "", request_id())


def items_of(found: Listed[T] | None) -> list[T]:
    """The items of a list; none when the list is not available."""
    return found["items"] if found else []

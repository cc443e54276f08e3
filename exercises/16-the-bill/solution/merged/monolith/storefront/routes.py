"""The pages for browsing, and what all pages of the shop have in common: the check of forms, and the error pages.

Buying is in `buying`, signing in and out in `entrance`.
"""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, abort, make_response, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from .. import cart, catalog, inventory, recommendations
from ..chassis import together
from ..chassis.database import reading
from ..chassis.errors import NotAuthenticated, NotFoundProblem, Problem, may_pass, problem_response
from ..chassis.observability import request_id
from . import forms, session
from .buying import buying
from .entrance import entrance
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
    categories = catalog.categories()["items"]
    return page("home.html", "home", bestsellers=best["items"], total=best["total"], categories=categories)


@pages.get("/search")
def search() -> str:
    """Search the products, or list those of one category."""
    q, category, number = (
        forms.words(request.args),
        forms.category(request.args),
        forms.page_number(request.args),
    )
    customer_id = session.visitor_id()
    in_cart = cart.quantities(customer_id) if customer_id else {}
    found = catalog.products(category, q, number, PAGE_SIZE)
    items = [{**item, "in_cart": in_cart.get(item["sku"], 0)} for item in found["items"]]
    categories = catalog.categories()["items"]
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
    customer_id = session.visitor_id()
    in_cart = cart.quantities(customer_id) if customer_id else {}
    asked = together.begin(_suggested, sku, list(in_cart), customer_id)
    with reading() as db:
        available = inventory.availability(db, sku)["available"]
    suggested = asked.result()
    found = catalog.batch([sku, *(suggested or ())])["items"]
    if not found or found[0]["sku"] != sku:
        raise catalog.UnknownProduct(sku)
    beside = found[1:] if suggested is not None else _bestsellers(sku)
    return page(
        "product.html",
        product=found[0],
        beside=beside,
        degraded=suggested is None,
        available=available,
        in_cart=in_cart.get(sku, 0),
    )


def _suggested(sku: str, in_cart: list[str], customer_id: str | None) -> list[str] | None:
    """SKUs that go well with this one; None when recommendations are unavailable."""
    try:
        answer = recommendations.recommender().suggest(sku, in_cart, customer_id, BESIDE)
    except recommendations.RecommendationsUnavailable as error:
        log.warning("no recommendations for %s: %s", sku, error.__cause__ or error)
        return None
    return [item["sku"] for item in answer["items"]]


def _bestsellers(but_not: str) -> list[dict[str, Any]]:
    best = catalog.products("", "", 1, BESIDE)["items"]
    return [product for product in best if product["sku"] != but_not]


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
    """A module refused, and the page has no message of its own for it."""
    if isinstance(problem, NotAuthenticated):
        return session.sign_in_first()
    return error_page(problem.status, problem.slug, request_id())


@pages.errorhandler(Exception)
def unexpected(error: Exception) -> ErrorPage:
    """The shop's own mistake, or a database that does not answer."""
    log.error("no page for %s %s", request.method, request.path, exc_info=error)
    return error_page(503 if may_pass(error) else 500, "", request_id())

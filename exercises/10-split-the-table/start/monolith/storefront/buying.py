"""The pages for buying: the cart, the checkout and the orders. All of them are for a signed-in customer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, request
from werkzeug.wrappers import Response

from .. import cart, catalog, orders
from ..chassis.database import reading, writing
from ..chassis.errors import Problem, Unavailable
from . import forms, session
from .rendering import categories_by_sku, last_page, page

buying = Blueprint("buying", __name__)

ORDERS_PAGE_SIZE = 20


@buying.get("/cart")
def show_cart() -> str:
    """Show the cart."""
    return _cart_page()


@buying.post("/cart/items")
def change_cart() -> Response | tuple[str, int]:
    """Put a product into the cart, change how many, or take it out."""
    sku, wanted = request.form.get("sku", ""), forms.quantity(request.form)
    if not forms.is_sku(sku):
        abort(400)
    customer_id = session.customer_id(f"/products/{sku}")
    if wanted is None:
        return _cart_page(f"A quantity is a number from 0 to {forms.MAX_PIECES}."), 422
    try:
        if wanted:
            cart.put(customer_id, sku, wanted)
        else:
            with writing() as db:
                cart.remove(db, customer_id, sku)
    except Problem as refusal:
        if refusal.slug != "cart-full":
            raise
        return _cart_page(refusal.detail), refusal.status
    return redirect("/cart", 303)


@buying.get("/cart/items")
def to_cart() -> Response:
    """Redirect a visitor who reloads the address that the form was sent to."""
    return redirect("/cart", 303)


@buying.get("/checkout")
def show_checkout() -> str:
    """Show what will be bought, and ask for a card."""
    contents = cart.read(session.customer_id())
    return page("checkout.html", "cart", cart=contents, key=forms.new_key())


@buying.post("/checkout")
def check_out() -> Response | tuple[str, int]:
    """Buy what is in the cart."""
    customer_id = session.customer_id("/checkout")
    card_number = request.form.get("card_number", "").replace(" ", "")
    key = forms.key(request.form)
    wrong = forms.card_problem(card_number)
    if wrong:
        return _checkout_page(422, key, card_problem=wrong)
    if key is None:
        return _checkout_page(400, None, slug="idempotency-key-required")
    try:
        order = orders.checkout(customer_id, key, card_number).order
    except Problem as refusal:
        return _checkout_page(refusal.status, key, slug=refusal.slug, facts=refusal.facts)
    return redirect(f"/orders/{order['id']}?thanks=1", 303)


@buying.get("/orders")
def history() -> str:
    """List the customer's orders."""
    customer_id = session.customer_id()
    with reading() as db:
        found = orders.history(db, customer_id, forms.page_number(request.args), ORDERS_PAGE_SIZE)
    return page("orders.html", "orders", found=found, last=last_page(found))


@buying.get("/orders/<order_id>")
def show_order(order_id: str) -> str:
    """Show one order."""
    customer_id = session.customer_id()
    if not forms.is_order_id(order_id):
        abort(404)
    with reading() as db:
        order = orders.show(db, customer_id, order_id)
    categories = _categories(order)
    return page("order.html", "orders", order=order, categories=categories, thanks="thanks" in request.args)


def _cart_page(problem: str = "") -> str:
    contents = cart.read(session.customer_id())
    return page("cart.html", "cart", cart=contents, categories=_categories(contents), problem=problem)


def _categories(listed: dict[str, Any]) -> dict[str, str]:
    """The categories of an order's or a cart's products, by SKU, for their pictures; none without the catalog."""
    try:
        return categories_by_sku(catalog.batch([item["sku"] for item in listed["items"]]))
    except Unavailable:
        return {}


def _checkout_page(
    status: int,
    key: str | None,
    *,
    card_problem: str = "",
    slug: str = "",
    facts: dict[str, Any] | None = None,
) -> tuple[str, int]:
    """The checkout page again, with the reason. A refused attempt is over, and the form gets a new key. An attempt
    whose outcome is unknown keeps its key, so that trying again cannot pay twice.
    """
    contents = cart.read(session.customer_id())
    problem = forms.refused_checkout(slug, facts or {}, contents) if slug else None
    if key is None or (problem and not problem.same_attempt):
        key = forms.new_key()
    return page(
        "checkout.html", "cart", cart=contents, key=key, card_problem=card_problem, problem=problem
    ), status

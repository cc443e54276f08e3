"""The pages: what a shopper with a browser sees, sends and is sent to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from loadtests.contract.acceptance.browser import SESSION_COOKIE, Browser, Page
from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import APPROVED, DECLINED, TIMES_OUT, Customer, new_key

MEMBERS_ONLY = ["/cart", "/checkout", "/orders", "/orders/any"]
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    " //evil.example",
]


def stays_here(location: str) -> bool:
    """Whether a browser would stay on the shop: browsers read a backslash as a slash and drop control characters."""
    read = "".join(character for character in location if character > " ").replace("\\", "/")
    return read.startswith("/") and not read.startswith("//") and not urlsplit(read).netloc


def path_and_next(page: Page) -> tuple[str, str]:
    parts = urlsplit(page.location)
    return parts.path, parse_qs(parts.query).get("next", [""])[0]


@pytest.mark.parametrize("path", ["/", "/search", "/search?q=a", "/sign-in"])
def test_a_page_is_html_with_a_title_and_one_heading(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 200
    assert page.response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.html.title.strip()
    assert len(page.html.headings) == 1
    assert page.html.unbalanced == []


@pytest.mark.parametrize("path", ["/cart", "/checkout", "/orders"])
def test_a_members_page_is_html_too(signed_in: Browser, customer: Customer, some_sku: str, path: str) -> None:
    customer.put_in_cart(some_sku)
    page = signed_in.get(path)
    assert page.status == 200
    assert len(page.html.headings) == 1
    assert page.html.unbalanced == []


def test_every_page_carries_a_request_id(browser: Browser) -> None:
    assert browser.get("/").response.headers["X-Request-Id"]
    assert browser.get("/no-such-page").response.headers["X-Request-Id"]


def test_a_product_page_shows_the_product_and_what_goes_with_it(
    browser: Browser, product: dict[str, Any]
) -> None:
    page = browser.get(f"/products/{product['sku']}")
    others = [
        link for link in page.html.links if link.startswith("/products/") and product["sku"] not in link
    ]
    assert product["name"] in page.text
    assert f"{product['price_cents'] / 100:,.2f}" in page.text
    assert page.form("/cart/items").fields["sku"] == product["sku"]
    assert len(others) >= 4


@pytest.mark.parametrize("path", ["/products/NO-SUCH-SKU", "/products/p00001", "/no-such-page", "/products/"])
def test_a_page_that_does_not_exist_says_so_in_html(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 404
    assert page.response.headers["Content-Type"].startswith("text/html")


def test_a_search_leads_to_the_product(browser: Browser, product: dict[str, Any]) -> None:
    page = browser.submit(browser.get("/").form("/search"), q=product["name"])
    assert page.status == 200
    assert f"/products/{product['sku']}" in page.html.links


@pytest.mark.parametrize(
    "query", ["q=%25", "q=%27%20OR%201%3D1", "q=%F0%9F%9B%92", "category=none", "q=" + "q" * 100]
)
def test_a_strange_search_is_just_a_search(browser: Browser, query: str) -> None:
    assert browser.get(f"/search?{query}").status == 200


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=99999", "q=" + "q" * 101, "q=%00"])
def test_a_search_that_cannot_be_made_is_answered_with_a_page(browser: Browser, query: str) -> None:
    page = browser.get(f"/search?{query}")
    assert page.status in (200, 404, 422)
    assert page.response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/", "/sign-in", "/products/P00001", "/no-such-page"])
def test_a_page_lets_no_script_run_and_no_other_site_frame_it(browser: Browser, path: str) -> None:
    policy = browser.get(path).response.headers["Content-Security-Policy"]
    said = {part.split()[0]: part.split()[1:] for part in policy.split(";") if part.strip()}
    assert said["default-src"] == ["'none'"]
    assert "script-src" not in said
    assert said["frame-ancestors"] == ["'none'"]


def test_what_was_searched_for_cannot_become_part_of_the_page(browser: Browser) -> None:
    page = browser.get("/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page.response.text


@pytest.mark.parametrize("path", MEMBERS_ONLY)
def test_a_stranger_is_sent_to_sign_in_and_back(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 303
    assert path_and_next(page) == ("/sign-in", path)


@pytest.mark.parametrize("path", ["/cart/items", "/checkout"])
def test_a_strangers_form_is_sent_to_sign_in(browser: Browser, some_sku: str, path: str) -> None:
    page = browser.post(path, {"sku": some_sku, "quantity": "1"}, {"Origin": browser.base_url})
    assert page.status == 303
    assert urlsplit(page.location).path == "/sign-in"


def test_signing_in_leads_back_to_where_one_wanted_to_go(browser: Browser, customer: Customer) -> None:
    sign_in = browser.follow(browser.get("/orders"))
    page = browser.submit(sign_in.form("/sign-in"), email=customer.email, password=customer.password)
    assert (page.status, page.location) == (303, "/orders")
    assert browser.follow(page).status == 200


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(
    browser: Browser, customer: Customer
) -> None:
    page = browser.sign_in(customer.email, customer.password)
    cookie = page.response.headers["Set-Cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}


def test_signing_in_replaces_a_cookie_that_somebody_else_planted(
    browser: Browser, customer: Customer, regular: Customer, shop_url: str
) -> None:
    planted = {"Cookie": f"{SESSION_COOKIE}={regular.token}", "Origin": shop_url}
    given = {"email": customer.email, "password": customer.password}
    page = browser.post("/sign-in", given, planted)
    assert page.status == 303
    assert browser.cookie != regular.token
    claims = jwt.decode(str(browser.cookie), options={"verify_signature": False})
    assert claims["sub"] == customer.id


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_never_leads_to_another_site(browser: Browser, customer: Customer, target: str) -> None:
    form = browser.get("/sign-in").form("/sign-in")
    form.fields["next"] = target
    page = browser.submit(form, email=customer.email, password=customer.password)
    assert page.status == 303
    assert stays_here(page.location)


@pytest.mark.parametrize("target", ELSEWHERE[:3])
def test_a_link_to_the_sign_in_page_cannot_lead_elsewhere_either(
    browser: Browser, customer: Customer, target: str
) -> None:
    page = browser.get("/sign-in?next=" + target.replace("\\", "%5C"))
    page = browser.submit(page.form("/sign-in"), email=customer.email, password=customer.password)
    assert stays_here(page.location)


def test_a_wrong_password_shows_the_form_again(browser: Browser, customer: Customer) -> None:
    page = browser.sign_in(customer.email, "not-my-password")
    assert 400 <= page.status < 500
    assert page.form("/sign-in").fields.keys() >= {"email", "password"}
    assert browser.cookie is None


def test_a_registration_that_is_refused_shows_the_form_again(browser: Browser, customer: Customer) -> None:
    form = browser.get("/sign-in").form("/register")
    taken = browser.submit(form, email=customer.email, password="long enough", name="Twice")
    short = browser.submit(form, email=f"x{customer.email}", password="short", name="Short")
    assert 400 <= taken.status < 500
    assert 400 <= short.status < 500
    assert short.forms("/register")
    assert browser.cookie is None


def test_signing_out_forgets_the_customer(signed_in: Browser) -> None:
    form = signed_in.get("/").form("/sign-out")
    page = signed_in.submit(form)
    assert page.status == 303
    assert not signed_in.cookie
    assert signed_in.get("/cart").status == 303


def test_a_cookie_that_is_no_token_is_a_strangers(browser: Browser, shop_url: str) -> None:
    page = browser.get("/cart")
    headers = {"Cookie": f"{SESSION_COOKIE}=garbage", "Origin": shop_url}
    assert browser.post("/cart/items", {"sku": "P00001", "quantity": "1"}, headers).status == 303
    assert page.status == 303


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", ""])
@pytest.mark.parametrize("path", ["/sign-in", "/register", "/sign-out", "/cart/items", "/checkout"])
def test_a_form_on_another_site_is_refused(regular_browser: Browser, path: str, origin: str) -> None:
    page = regular_browser.post(path, {}, {"Origin": origin} if origin else {})
    assert page.status == 403
    assert regular_browser.cookie


def test_a_referer_is_as_good_as_an_origin(
    signed_in: Browser, customer: Customer, product: dict[str, Any]
) -> None:
    fields = {"sku": product["sku"], "quantity": "1"}
    away = signed_in.post("/cart/items", fields, {"Referer": "https://evil.example/page"})
    here = signed_in.post(
        "/cart/items", fields, {"Referer": f"{signed_in.base_url}/products/{product['sku']}"}
    )
    assert (away.status, here.status) == (403, 303)
    assert customer.cart() == {product["sku"]: 1}


def test_the_cart_page_changes_and_removes_lines(
    signed_in: Browser, customer: Customer, product: dict[str, Any]
) -> None:
    cart = signed_in.follow(signed_in.put_in_cart(product["sku"], 3))
    assert customer.cart() == {product["sku"]: 3}
    line = next(form for form in cart.forms("/cart/items") if form.fields.get("sku") == product["sku"])
    cart = signed_in.follow(signed_in.submit(line, quantity="5"))
    assert customer.cart() == {product["sku"]: 5}
    signed_in.submit(line, quantity="0")
    assert customer.cart() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": "1"},
        {"sku": "P00001"},
        {"sku": "P00001", "quantity": "-1"},
        {"sku": "P00001", "quantity": "100"},
        {"sku": "P00001", "quantity": "one"},
        {"sku": "P00001", "quantity": "9" * 5000},
        {"sku": "NO-SUCH-SKU", "quantity": "1"},
        {"sku": "p\x00", "quantity": "1"},
    ],
)
def test_a_bad_form_is_answered_with_a_page_and_changes_nothing(
    regular_browser: Browser, regular: Customer, fields: dict[str, str]
) -> None:
    page = regular_browser.post("/cart/items", fields, {"Origin": regular_browser.base_url})
    assert 300 <= page.status < 500
    assert page.status == 303 or page.response.headers["Content-Type"].startswith("text/html")
    assert regular.cart() == {}


@pytest.mark.parametrize("card", [DECLINED, TIMES_OUT, "no card", ""])
def test_a_refused_checkout_says_why_and_can_be_tried_again(
    signed_in: Browser, customer: Customer, product: dict[str, Any], card: str
) -> None:
    customer.put_in_cart(product["sku"])
    refused = signed_in.submit(signed_in.get("/checkout").form("/checkout"), card_number=card)
    assert refused.status >= 400
    assert refused.response.headers["Content-Type"].startswith("text/html")
    again = signed_in.submit(refused.form("/checkout"), card_number=APPROVED)
    assert signed_in.follow(again).status == 200
    assert len(customer.orders()) == 1


def test_a_checkout_form_sent_twice_buys_once(
    signed_in: Browser, customer: Customer, product: dict[str, Any]
) -> None:
    customer.put_in_cart(product["sku"])
    form = signed_in.get("/checkout").form("/checkout")
    first = signed_in.submit(form, card_number=APPROVED)
    again = signed_in.submit(form, card_number=APPROVED)
    assert (first.status, again.status) == (303, 303)
    assert again.location == first.location
    assert len(customer.orders()) == 1


def test_a_checkout_of_what_is_sold_out_says_so(signed_in: Browser, customer: Customer, shelf: Shelf) -> None:
    product = shelf.pick(available=0)
    customer.put_in_cart(product["sku"])
    page = signed_in.submit(signed_in.get("/checkout").form("/checkout"), card_number=APPROVED)
    assert page.status == 409
    assert customer.orders() == []


def test_somebody_elses_order_page_is_not_found(
    signed_in: Browser, new_customer: Callable[[], Customer], product: dict[str, Any]
) -> None:
    owner = new_customer()
    owner.put_in_cart(product["sku"])
    order_id = owner.checkout().json()["id"]
    assert signed_in.get(f"/orders/{order_id}").status == 404
    assert signed_in.get("/orders/no-such-order").status == 404


def test_a_name_cannot_become_part_of_a_page(browser: Browser) -> None:
    form = browser.get("/sign-in").form("/register")
    name = "<script>alert(1)</script>"
    browser.submit(form, email=f"{new_key()}@example.com", password="long enough", name=name)
    assert browser.cookie
    assert "<script>alert" not in browser.get("/").response.text

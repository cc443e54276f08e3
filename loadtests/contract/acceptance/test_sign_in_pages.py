"""Signing in, registering and signing out on the pages, and the session cookie."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from loadtests.contract.acceptance.browser import Browser, Page
from loadtests.contract.acceptance.visitors import Customer
from loadtests.contract.client import session_cookie

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
    """Whether a browser stays on the shop. Browsers read a backslash as a slash and drop control characters."""
    read = "".join(character for character in location if character > " ").replace("\\", "/")
    return read.startswith("/") and not read.startswith("//") and not urlsplit(read).netloc


def path_and_next(page: Page) -> tuple[str, str]:
    parts = urlsplit(page.location)
    return parts.path, parse_qs(parts.query).get("next", [""])[0]


@pytest.mark.parametrize("path", MEMBERS_ONLY)
def test_a_visitor_is_redirected_to_sign_in_and_back(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert page.status == 303
    assert path_and_next(page) == ("/sign-in", path)


@pytest.mark.parametrize("path", ["/cart/items", "/checkout"])
def test_a_form_of_a_visitor_is_redirected_to_sign_in(browser: Browser, some_sku: str, path: str) -> None:
    page = browser.post(path, {"sku": some_sku, "quantity": "1"}, {"Origin": browser.base_url})
    assert page.status == 303
    assert urlsplit(page.location).path == "/sign-in"


def test_signing_in_redirects_to_the_requested_page(browser: Browser, customer: Customer) -> None:
    sign_in = browser.follow(browser.get("/orders"))
    page = browser.submit(sign_in.form("/sign-in"), email=customer.email, password=customer.password)
    assert (page.status, page.location) == (303, "/orders")
    assert browser.follow(page).status == 200


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(
    browser: Browser, customer: Customer
) -> None:
    page = browser.sign_in(customer.email, customer.password)
    cookie = page.response.headers["Set-Cookie"]
    assert cookie.startswith(f"{session_cookie(browser.base_url)}=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}


def test_shops_on_other_ports_have_cookies_of_their_own(browser: Browser, customer: Customer) -> None:
    browser.sign_in(customer.email, customer.password)
    port = urlsplit(browser.base_url).port or 80
    given = {"email": customer.email, "password": customer.password}
    elsewhere = {"Host": f"127.0.0.1:{port + 1}", "Origin": f"http://127.0.0.1:{port + 1}"}
    page = browser.post("/sign-in", given, elsewhere)
    assert page.response.headers["Set-Cookie"].startswith(f"shop_session_{port + 1}=")
    assert browser.get("/cart").status == 200


def test_signing_in_replaces_a_cookie_that_somebody_else_planted(
    browser: Browser, customer: Customer, regular: Customer, shop_url: str
) -> None:
    planted = {"Cookie": f"{session_cookie(browser.base_url)}={regular.token}", "Origin": shop_url}
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
def test_a_link_to_the_sign_in_page_never_leads_to_another_site(
    browser: Browser, customer: Customer, target: str
) -> None:
    page = browser.get("/sign-in?next=" + target.replace("\\", "%5C"))
    page = browser.submit(page.form("/sign-in"), email=customer.email, password=customer.password)
    assert stays_here(page.location)


@pytest.mark.parametrize("password", ["a\0b", "x" * 129], ids=["with NUL", "too long"])
def test_a_password_that_nobody_can_have_is_a_wrong_password(
    browser: Browser, customer: Customer, password: str
) -> None:
    wrong = browser.sign_in(customer.email, "not-my-password")
    page = browser.sign_in(customer.email, password)
    assert (page.status, page.text) == (wrong.status, wrong.text)


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


def test_an_invalid_session_cookie_counts_as_signed_out(browser: Browser, shop_url: str) -> None:
    page = browser.get("/cart")
    headers = {"Cookie": f"{session_cookie(browser.base_url)}=garbage", "Origin": shop_url}
    assert browser.post("/cart/items", {"sku": "P00001", "quantity": "1"}, headers).status == 303
    assert page.status == 303

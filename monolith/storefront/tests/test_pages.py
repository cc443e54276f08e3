import pytest

from monolith.app import create_app
from monolith.chassis.config import Config, sqlite_url
from monolith.chassis.runtime import runtime
from monolith.storefront.tests.conftest import Browser, checkout_key


@pytest.fixture
def ada(browser):
    browser.sign_in()
    browser.send("/cart/items", sku="P00002", quantity="2")
    return browser


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "/\\evil.example", "https://evil.example/", "/\t/evil.example", "javascript:x", ""],
)
def test_signing_in_never_leads_out_of_the_shop(browser, elsewhere):
    assert browser.sign_in(next=elsewhere).location == "/"


@pytest.mark.parametrize(
    "origin", ["", "http://evil.example", "null", "http://localhost.evil.example", "http://["]
)
def test_a_form_from_another_site_changes_nothing(ada, origin):
    assert ada.send("/cart/items", origin=origin, sku="P00002", quantity="9").status_code == 403
    assert 'value="2"' in ada.get("/cart").text


@pytest.mark.parametrize("origin", ["https://name-8000.example", "http://localhost:8000"])
def test_a_form_from_a_trusted_address_is_accepted(template, tmp_path, origin):
    settings = {
        "SHOP_HOME": str(tmp_path),
        "SHOP_DATABASE_URL": sqlite_url(template),
        "SHOP_TRUSTED_ORIGINS": "https://Name-8000.example/ http://localhost:8000",
    }
    app = create_app(Config.from_env(settings))
    browser = Browser(app)
    assert browser.send("/sign-out", origin=origin).status_code == 303
    assert browser.send("/sign-out", origin="https://name-8000.example.evil").status_code == 403
    assert browser.send("/sign-out", origin="http://name-8000.example").status_code == 403
    runtime(app).database.dispose()


def test_a_refused_form_names_both_addresses_and_the_setting(browser):
    page = browser.send("/sign-out", origin="https://<b>.example")
    assert "It came from https://&lt;b&gt;.example, and this shop was called as localhost" in page.text
    assert "SHOP_TRUSTED_ORIGINS=https://&lt;b&gt;.example" in page.text
    assert "did not say from which page" in browser.send("/sign-out", origin="null").text


def test_a_path_of_the_api_with_doubled_slashes_gets_a_problem(browser):
    answer = browser.get("/", environ_overrides={"PATH_INFO": "//api//products"})
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")


def test_a_form_that_is_too_large_is_refused_before_it_is_read(ada):
    page = ada.send("/cart/items", sku="P00002", quantity="9" * 70_000)
    assert page.status_code == 413
    assert "That is too large" in page.text


def test_a_cookie_that_is_no_token_is_not_signed_in(browser):
    browser.client.set_cookie("shop_session", "nonsense")
    assert "Sign in" in browser.get("/").text
    assert browser.get("/orders").location == "/sign-in?next=/orders"


def test_a_wrong_password_is_said_beside_the_form(browser):
    page = browser.send("/sign-in", email="ada@example.com", password="wrong")
    assert page.status_code == 401
    assert 'id="sign-in-problem"' in page.text
    assert 'value="ada@example.com"' in page.text


def test_registering_signs_in_at_once(browser):
    new = {"email": "New@Example.com", "name": "<b>New</b>", "password": "long enough"}
    assert browser.send("/register", next="/cart", **new).location == "/cart"
    assert browser.get("/cart").status_code == 200


def test_registering_names_the_field_that_is_wrong(browser):
    page = browser.send("/register", email="no address", name="New", password="short")
    assert page.status_code == 422
    assert 'id="new-email-problem"' in page.text
    assert 'id="new-password-problem"' in page.text
    assert 'id="new-name-problem"' not in page.text


def test_an_email_that_is_taken_is_said_at_the_field(browser):
    page = browser.send("/register", email="ada@example.com", name="Ada", password="long enough")
    assert page.status_code == 409
    assert 'aria-describedby="new-email-problem"' in page.text


def test_search_marks_what_is_in_the_cart(ada):
    name = ada.get("/products/P00002").text.split("<h1>")[1].split("</h1>")[0]
    page = ada.get("/search", query_string={"q": name})
    assert "2 in your cart" in page.text


def test_quantity_zero_removes(ada):
    ada.send("/cart/items", sku="P00002", quantity="0")
    assert "Your cart is empty" in ada.get("/cart").text


@pytest.mark.parametrize("quantity", ["100", "-1", "many", "", "1.5", "٣"])
def test_an_invalid_quantity_is_refused_with_a_sentence(ada, quantity):
    page = ada.send("/cart/items", sku="P00002", quantity=quantity)
    assert page.status_code == 422
    assert "A quantity is a number from 0 to 99." in page.text


def test_a_full_cart_says_so(ada):
    for number in range(3, 52):
        ada.send("/cart/items", sku=f"P{number:05d}", quantity="1")
    page = ada.send("/cart/items", sku="P00100", quantity="1")
    assert page.status_code == 409
    assert "at most 50" in page.text


def test_paying_leads_to_the_order(ada):
    answer = ada.pay("4242 4242 4242 4242")
    assert answer.status_code == 303
    assert "Thank you" in ada.get(answer.location).text
    assert "Your cart is empty" in ada.get("/cart").text


@pytest.mark.parametrize(
    ("card", "sentence"),
    [("4000000000000002", "The card was declined."), ("4000000000000119", "did not answer in time")],
)
def test_a_refused_payment_is_explained_and_may_be_tried_anew(ada, card, sentence):
    page = ada.pay(card, "the-first-key")
    assert sentence in page.text
    assert checkout_key(page) != "the-first-key"
    assert ada.pay("4242424242424242", checkout_key(page)).status_code == 303


def test_too_little_stock_is_explained_with_the_name(ada, app):
    from monolith import inventory

    with app.app_context():
        from monolith.chassis.database import writing

        with writing() as db:
            inventory.set_available(db, "P00002", 1)
    page = ada.pay("4242424242424242")
    assert page.status_code == 409
    assert "You want 2, and 1 of it is left." in page.text


def test_an_invalid_card_number_is_marked_at_the_field(ada):
    page = ada.pay("4242 4242")
    assert page.status_code == 422
    assert 'aria-describedby="card-number-hint card-number-problem"' in page.text
    assert '4242 4242"' not in page.text


def test_another_customers_order_is_not_shown(browser, app):
    browser.sign_in("grace@example.com")
    theirs = browser.get("/orders").text.split('href="/orders/')[1].split('"')[0]
    browser.send("/sign-out")
    browser.sign_in("ada@example.com")
    page = browser.get(f"/orders/{theirs}")
    assert page.status_code == 404
    assert "No such order" in page.text


@pytest.mark.parametrize("path", ["/register", "/sign-out", "/cart/items"])
def test_reloading_the_address_of_a_form_redirects(browser, path):
    assert browser.get(path).status_code == 303


def test_an_unexpected_error_is_a_page_with_the_request_id(browser, monkeypatch):
    monkeypatch.setattr("monolith.catalog.products", lambda *_: 1 / 0)
    page = browser.get("/", headers={"X-Request-Id": "tell-me"})
    assert page.status_code == 500
    assert "tell-me" in page.text
    assert "ZeroDivisionError" not in page.text


def test_the_stylesheet_is_served_and_kept_by_the_browser(browser):
    address = browser.get("/").text.split('rel="stylesheet" href="')[1].split('"')[0]
    styles = browser.get(address)
    assert styles.mimetype == "text/css"
    assert "immutable" in styles.headers["Cache-Control"]
    styles.close()


@pytest.mark.parametrize("page", ["abc", "0", "-1", "99999999999", "1.5", ""])
def test_an_invalid_page_number_means_the_first_page(browser, page):
    assert browser.get("/search", query_string={"page": page}).text == browser.get("/search").text


def test_links_to_other_pages_keep_the_search(browser):
    page = browser.get("/search?q=a&page=2").text
    assert 'href="/search?q=a&amp;page=3"' in page
    assert 'aria-current="page"><span class="hidden">Page </span>2' in page


@pytest.mark.parametrize("path", ["/", "/sign-in", "/no/such/page", "/products/NO-SUCH-SKU"])
def test_every_page_says_what_a_browser_may_do_with_it_even_one_that_is_not_there(browser, path):
    headers = browser.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"

"""Invalid requests of every kind: each gets its own problem, in the order of the contract, and never a 500."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loadtests.contract.acceptance.browser import Browser
from loadtests.contract.acceptance.contract import CONTRACT_FILE
from loadtests.contract.acceptance.visitors import Customer, Visitor, new_key

JSON = {"Content-Type": "application/json"}
UNKNOWN_ROUTES = [
    "/api/nothing",
    "/api/products/P00001/nothing",
    "/api/orders/a/b",
    "/.well-known/nothing",
]
INTERNAL_ROUTES = [
    "/internal/carts/C00001",
    "/internal/events?after=0",
    "/internal/payments",
    "/internal/reservations",
]


@pytest.mark.parametrize("path", UNKNOWN_ROUTES)
def test_an_unknown_route_answers_404(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    "path", ["/api/products/P%00", "/api/inventory/P1%00", "/api/orders/%00", "/api/%00"]
)
def test_a_path_with_a_nul_character_answers_404(regular: Customer, path: str) -> None:
    answer = regular.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize("path", ["/api//products", "/api/products//P00001", "/api//nothing"])
def test_a_path_with_a_doubled_slash_answers_404_and_no_redirect(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"
    assert "Location" not in answer.headers


@pytest.mark.parametrize("path", ["/products//P00001", "/cart//"])
def test_a_page_with_a_doubled_slash_does_not_exist(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert (page.status, page.location) == (404, "")
    assert page.response.headers["Content-Type"].startswith("text/html")


def test_a_request_to_upgrade_to_a_websocket_gets_the_ordinary_answer(visitor: Visitor) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    answer = visitor.get("/api/categories", headers=upgrade)
    assert answer.status_code == 200
    assert answer.json() == visitor.get("/api/categories").json()


@pytest.mark.parametrize("path", INTERNAL_ROUTES)
def test_internal_routes_are_not_public(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 404
    assert browser.post(path, {}, {"Origin": browser.base_url}).status == 404


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("DELETE", "/api/products", "GET"),
        ("POST", "/api/products/P00001", "GET"),
        ("GET", "/api/sessions", "POST"),
        ("PATCH", "/api/cart", "DELETE"),
        ("DELETE", "/api/orders/any", "GET"),
        ("PUT", "/api/orders", "POST"),
    ],
)
def test_a_method_that_a_route_lacks_answers_405(
    visitor: Visitor, method: str, path: str, known: str
) -> None:
    answer = visitor.call(method, path)
    assert answer.status_code == 405
    assert answer.json()["type"] == "/problems/method-not-allowed"
    assert known in answer.headers["Allow"]


def test_the_served_contract_is_the_tested_contract(visitor: Visitor) -> None:
    assert visitor.get("/api/openapi.yaml").content == CONTRACT_FILE.read_bytes()


@pytest.mark.parametrize("asked", [{"Range": "bytes=0-9"}, {"If-Match": '"x"'}, {"If-None-Match": "*"}])
def test_the_contract_is_always_served_whole(visitor: Visitor, asked: dict[str, str]) -> None:
    answer = visitor.get("/api/openapi.yaml", headers=asked)
    assert (answer.status_code, answer.content) == (200, CONTRACT_FILE.read_bytes())
    assert not {"ETag", "Last-Modified", "Accept-Ranges"} & set(answer.headers)


@pytest.mark.parametrize(
    "path", ["/api", "/API/products", "/Api/openapi.yaml", "/METRICS", "/Healthz", "/Cart"]
)
def test_a_path_in_another_case_is_an_unknown_page(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert (page.status, page.text) == (404, browser.get("/nothing").text)


@pytest.mark.parametrize("path", INTERNAL_ROUTES)
def test_an_internal_route_looks_like_any_unknown_page(browser: Browser, path: str) -> None:
    assert browser.get(path).text == browser.get("/nothing").text


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/cart", "DELETE, GET, HEAD, OPTIONS"),
        ("/api/openapi.yaml", "GET, HEAD, OPTIONS"),
        ("/sign-in", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_options_lists_the_methods_in_order(browser: Browser, path: str, allowed: str) -> None:
    answer = browser.ask("OPTIONS", path).response
    assert (answer.status_code, answer.headers["Allow"], answer.text) == (200, allowed, "")


@pytest.mark.served("in process a body has no form on the wire")
def test_a_body_in_chunks_answers_411(visitor: Visitor) -> None:
    answer = visitor.post("/api/sessions", data=iter([b"{}"]), headers=JSON)
    assert answer.status_code == 411
    assert answer.json()["type"] == "/problems/length-required"


@pytest.mark.parametrize("host", ["", "evil.example/x", "a b", "user@shop"])
def test_a_host_that_is_none_answers_400(browser: Browser, host: str) -> None:
    assert browser.ask("GET", "/api/categories", headers={"Host": host}).status == 400


@pytest.mark.parametrize("sent", ["a-Request_id.42", "x", "r" * 64])
def test_a_well_formed_request_id_is_returned(visitor: Visitor, sent: str) -> None:
    answer = visitor.get("/api/categories", headers={"X-Request-Id": sent})
    assert answer.headers["X-Request-Id"] == sent


@pytest.mark.parametrize("sent", ["r" * 65, "two words", "semi;colon", "a/b", "<script>"])
def test_a_malformed_request_id_is_replaced(visitor: Visitor, sent: str) -> None:
    made = visitor.get("/api/categories", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert made != sent
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", made)


def test_every_request_without_an_id_gets_its_own(visitor: Visitor) -> None:
    made = {visitor.get("/api/categories").headers["X-Request-Id"] for _ in range(5)}
    assert len(made) == 5


def test_a_refusal_carries_the_request_id_too(visitor: Visitor) -> None:
    answer = visitor.get("/api/nothing", headers={"X-Request-Id": "lost-42"})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (404, "lost-42")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"quantity": 1', b"quantity=1", b"\xff\xfe", b"{'quantity': 1}", b"[" * 60_000, b"\x00"],
    ids=["empty", "open", "cut off", "form", "no utf-8", "single quotes", "deep", "nul"],
)
def test_broken_json_answers_400(regular: Customer, some_sku: str, body: bytes) -> None:
    answer = regular.put(f"/api/cart/items/{some_sku}", data=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/malformed-json"


@pytest.mark.parametrize("body", [[], "text", 7, True, [{"quantity": 1}]])
def test_json_that_is_no_object_answers_422(regular: Customer, some_sku: str, body: Any) -> None:
    answer = regular.put(f"/api/cart/items/{some_sku}", body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-request"


def test_json_null_is_no_object_either(regular: Customer, some_sku: str) -> None:
    answer = regular.put(f"/api/cart/items/{some_sku}", data=b"null", headers=JSON)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "body",
    [b'{"quantity": ' + b"9" * 5000 + b"}", b'{"quantity": NaN}', b'{"quantity": 1e999}', b'{"\\ud800": 1}'],
    ids=["5000 digits", "not a number", "infinite", "half a character"],
)
def test_json_with_extreme_values_is_refused(regular: Customer, some_sku: str, body: bytes) -> None:
    answer = regular.put(f"/api/cart/items/{some_sku}", data=body, headers=JSON)
    assert answer.status_code in (400, 422)


def test_a_lone_surrogate_in_a_name_is_refused(visitor: Visitor) -> None:
    body = b'{"email": "%s@example.com", "password": "12345678", "name": "\\ud800"}' % new_key().encode()
    answer = visitor.post("/api/customers", data=body, headers=JSON)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
def test_another_content_type_answers_415(regular: Customer, some_sku: str, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = regular.put(f"/api/cart/items/{some_sku}", data=b'{"quantity": 1}', headers=headers)
    assert answer.status_code == 415
    assert answer.json()["type"] == "/problems/unsupported-media-type"


def test_a_content_type_with_a_character_set_is_accepted(customer: Customer, some_sku: str) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = customer.put(f"/api/cart/items/{some_sku}", data=b'{"quantity": 1}', headers=headers)
    assert answer.status_code == 200


def test_a_body_over_64_kilobytes_answers_413(visitor: Visitor) -> None:
    answer = visitor.post("/api/sessions", {"email": "a@example.com", "password": "x" * 65_536})
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/body-too-large"


def test_a_body_of_exactly_64_kilobytes_is_read(visitor: Visitor) -> None:
    start = b'{"email": "a@example.com", "password": "'
    body = start + b"x" * (65_536 - len(start) - 2) + b'"}'
    answer = visitor.post("/api/sessions", data=body, headers=JSON)
    assert answer.status_code == 422


def test_authorisation_is_checked_before_the_body(visitor: Visitor, regular: Customer) -> None:
    broken = {"data": b"{", "headers": {"Content-Type": "text/plain"}}
    assert visitor.put("/api/inventory/nonsense", **broken).status_code == 401
    assert regular.put("/api/inventory/nonsense", **broken).status_code == 403


def test_a_body_is_checked_for_size_then_type_then_syntax_then_fields(admin: Customer) -> None:
    text = {"Content-Type": "text/plain"}
    path = "/api/inventory/NO-SUCH-SKU"
    assert admin.put(path, data=b"{" * 70_000, headers=text).status_code == 413
    assert admin.put(path, data=b"{", headers=text).status_code == 415
    assert admin.put(path, data=b"{", headers=JSON).status_code == 400
    assert admin.put(path, {"available": -1}).status_code == 422
    assert admin.put(path, {"available": 1}).status_code == 404

"""The parity check: a script can be repeated and covers all operations, and real differences are found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from loadtests.contract.acceptance.contract import Contract
from loadtests.contract.parity import execute
from loadtests.contract.parity.compare import Answer, differences_of, visible_texts
from loadtests.contract.parity.execute import run_script
from loadtests.contract.parity.scenes import FORM
from loadtests.contract.parity.script import MIN_REQUESTS, SCENES, write_script
from loadtests.contract.parity.steps import Catalogue, Step, get, on_wire, send, sign_in
from microservices.chaos.standin import Asked, StandIn

CATALOGUE = Catalogue(
    skus=[f"P{number:05}" for number in range(1, 101)],
    categories=["coffee", "tea"],
    words=["Dark", "Kettle", "Oak"],
)


def test_the_same_seed_writes_the_same_script() -> None:
    assert write_script(7, 400, CATALOGUE) == write_script(7, 400, CATALOGUE)


def test_other_random_numbers_of_the_process_do_not_change_the_script() -> None:
    first = write_script(7, 400, CATALOGUE)
    random.seed(42)
    assert write_script(7, 400, CATALOGUE) == first


def test_another_seed_writes_another_script() -> None:
    assert write_script(7, 400, CATALOGUE) != write_script(8, 400, CATALOGUE)


@pytest.mark.parametrize("length", [MIN_REQUESTS, 400, 1000])
def test_a_script_has_the_requested_length(length: int) -> None:
    assert len(write_script(1, length, CATALOGUE)) == length


@pytest.mark.parametrize("seed", range(20))
def test_even_the_shortest_script_has_every_operation_of_the_contract(seed: int) -> None:
    asked = {step.operation for step in write_script(seed, MIN_REQUESTS, CATALOGUE)}
    assert {operation.id for operation in Contract.load().operations} <= asked


def test_a_script_of_proper_requests_has_every_operation_and_nothing_odd() -> None:
    steps = write_script(1, 400, CATALOGUE, odd=False)
    assert {operation.id for operation in Contract.load().operations} <= {step.operation for step in steps}
    assert not {"odd path", "odd method", "not HTTP"} & {step.operation for step in steps}
    assert {"odd path", "odd method"} <= {step.operation for step in write_script(1, 400, CATALOGUE)}


def test_a_step_matches_the_operation_that_it_names() -> None:
    operations = {operation.id: operation for operation in Contract.load().operations}
    for step in write_script(3, 1000, CATALOGUE):
        if step.operation in operations:
            operation = operations[step.operation]
            assert step.method.lower() == operation.method
            assert len(step.path.split("/")) == len(operation.path.split("/"))


def test_every_token_and_order_that_a_step_needs_is_made_by_an_earlier_step() -> None:
    known: set[str] = {""}
    for step in write_script(5, 1000, CATALOGUE):
        assert step.actor in known
        assert "{order:" not in step.path or step.path.partition("{order:")[2].rstrip("}") in known
        known.add(step.keep)


def test_a_script_has_declined_and_successful_checkouts() -> None:
    checkouts = [step for step in write_script(1, 400, CATALOGUE) if step.operation == "checkout"]
    cards = {json.loads(step.body or "{}").get("card_number") for step in checkouts}
    assert {"4242424242424242", "4000000000000002", "4000000000000119"} <= cards


def test_the_shortest_script_has_room_for_every_scene() -> None:
    from loadtests.contract.parity import scenes
    from loadtests.contract.parity.writer import Writer

    for seed in range(50):
        writer = Writer(seed, CATALOGUE)
        scenes.opening(writer)
        for scene in SCENES:
            scene(writer)
        assert len(writer.steps) <= MIN_REQUESTS


def test_a_step_can_be_pasted_into_a_shell() -> None:
    step = send("putCartItem", "PUT", "/api/cart/items/P00001", {"quantity": 1}, "ada")
    assert step.curl("http://shop") == (
        "curl -si -X PUT -H 'Content-Type: application/json' --data-binary '{\"quantity\": 1}'"
        ' http://shop/api/cart/items/P00001 -H "Authorization: Bearer ${ADA_TOKEN}"'
    )


def test_a_step_on_the_wire_can_be_pasted_too() -> None:
    step = on_wire("old HTTP", "GET / HTTP/1.0\nX: y")
    assert (
        step.curl("http://127.0.0.1:80") == "printf 'GET / HTTP/1.0\\r\\nX: y\\r\\n\\r\\n' | nc 127.0.0.1 80"
    )


def answer(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Answer:
    return Answer(status, content_type, headers, body)


def differ(a: Answer, b: Answer, names_a: dict[str, str], names_b: dict[str, str]) -> bool:
    return differences_of(a.normal(names_a), b.normal(names_b)) is not None


def test_equal_responses_do_not_differ() -> None:
    one, other = answer({"items": [1, 2], "page": 1}), answer({"page": 1, "items": [1, 2]})
    assert not differ(one, other, {}, {})


@pytest.mark.parametrize(
    "other",
    [
        answer({"items": [1]}, status=201),
        answer({"items": [1]}, content_type="text/html"),
        answer({"items": [1]}, Location="/elsewhere"),
        answer({"items": [2]}),
        answer({"items": [1.0]}),
        answer({"items": [True]}),
        answer({"items": []}),
        answer({"items": [1, 2]}),
        answer({"items": [1], "more": None}),
        answer({}),
        answer([1]),
        answer(None),
    ],
)
def test_every_other_response_differs(other: Answer) -> None:
    assert differ(answer({"items": [1]}), other, {}, {})


def test_ids_and_times_of_an_order_of_the_script_may_differ() -> None:
    one = answer({"id": "o-1", "created_at": "2026-01-01T00:00:00Z"}, Location="/api/orders/o-1")
    other = answer({"id": "x-9", "created_at": "2026-01-01T00:00:01Z"}, Location="/api/orders/x-9")
    assert not differ(one, other, {"o-1": "<order>"}, {"x-9": "<order>"})
    assert differ(one, other, {"o-1": "<order>"}, {"x-9": "<another order>"})
    assert differ(one, other, {}, {})


def test_the_time_of_a_seeded_order_must_be_the_same() -> None:
    one = answer({"items": [{"id": "O1", "created_at": "2026-01-01T00:00:00Z"}]})
    other = answer({"items": [{"id": "O1", "created_at": "2026-01-01T00:00:01Z"}]})
    assert differ(one, other, {}, {})


def test_tokens_and_public_keys_may_differ() -> None:
    one, other = answer({"token": "a", "keys": [{"x": "1"}]}), answer({"token": "b", "keys": [{"x": "2"}]})
    assert not differ(one, other, {}, {})


def test_a_difference_is_shown_with_its_place() -> None:
    one, other = answer({"items": [{"score": 0.5}]}), answer({"items": [{"score": 0.25}]}, status=201)
    found = differences_of(one.normal({}), other.normal({}))
    assert found == ("status: 200, body.items[0].score: 0.5", "status: 201, body.items[0].score: 0.25")


def test_of_many_differences_the_first_are_shown_and_the_rest_are_counted() -> None:
    found = differences_of(answer([1] * 9).normal({}), answer([2] * 9).normal({}))
    assert found == (
        "body[0]: 1, body[1]: 1, body[2]: 1 and 6 more",
        "body[0]: 2, body[1]: 2, body[2]: 2 and 6 more",
    )


def test_pages_are_compared_by_their_visible_texts() -> None:
    html = "<h1 class='x'>Your  order</h1><input value='key'><p>1 May, 12:30</p>"
    assert visible_texts(html) == ["Your order", "1 May, <time>"]


def test_two_equal_shops_do_not_differ() -> None:
    with (
        StandIn(lambda asked: (200, {"path": asked.path})) as a,
        StandIn(lambda asked: (200, {"path": asked.path})) as b,
    ):
        assert run_script([get("readProduct", "/api/products/P1"), get("home page", "/")], a.url, b.url) == []


def test_a_difference_names_its_step_and_request() -> None:
    with (
        StandIn(lambda _: (200, {"n": 1})) as a,
        StandIn(lambda asked: (200, {"n": 1 if asked.path == "/api/1" else 2})) as b,
    ):
        (found,) = run_script([get("one", "/api/1"), get("two", "/api/2", q="a b")], a.url, b.url)
    assert (found.step, found.request) == (2, f"curl -si -X GET '{a.url}/api/2?q=a+b'")
    assert (found.a, found.b) == ("body.n: 1", "body.n: 2")


def test_a_shop_that_does_not_answer_is_a_difference_and_no_error() -> None:
    with StandIn(lambda _: (200, {})) as a, StandIn(lambda _: (200, {})) as gone:
        pass
    with StandIn(lambda _: (200, {})) as a:
        (found,) = run_script([get("readCart", "/api/cart")], a.url, gone.url)
    assert found.b.startswith("status: 0, content type: ConnectionError")


def test_each_shop_gets_its_own_token_order_id_and_origin() -> None:
    seen: list[tuple[str, str | None, str | None, str | None]] = []

    def respond(asked: Asked) -> tuple[int, Any]:
        host = asked.headers["Host"]
        sent = asked.headers
        seen.append((asked.path, sent["Authorization"], sent["Cookie"], sent["Origin"]))
        made = {"/api/sessions": {"token": f"token of {host}"}, "/api/orders": {"id": f"order-of-{host}"}}
        return 201, made.get(asked.path)

    steps = [
        sign_in("ada", "ada@example.com"),
        send("checkout", "POST", "/api/orders", {}, "ada", keep="key", key="key"),
        get("readOrder", "/api/orders/{order:key}", "ada"),
        Step("cart form", "POST", "/cart/items", (), "ada", FORM, "sku=P1"),
    ]
    with StandIn(respond) as a, StandIn(respond) as b:
        assert run_script(steps, a.url, b.url) == []
    host = b.url.removeprefix("http://")
    assert (f"/api/orders/order-of-{host}", f"Bearer token of {host}", None, None) in seen
    cookie = f"shop_session_{host.partition(':')[2]}=token of {host}"
    assert ("/cart/items", None, cookie, b.url) in seen


def test_a_page_that_names_the_address_of_its_shop_is_no_difference() -> None:
    def respond(asked: Asked) -> tuple[int, Any]:
        return 200, {"detail": f"this shop was called as {asked.headers['Host']}"}

    with StandIn(respond) as a, StandIn(respond) as b:
        assert run_script([get("home page", "/")], a.url, b.url) == []
    assert visible_texts("<p>127.0.0.1:18081, at 7:05</p>") == ["127.0.0.1:18081, at <time>"]


HOST_AND_TOKEN = "GET /{token} HTTP/1.1\nHost: {host}"


def test_a_step_on_the_wire_is_sent_as_written_with_each_shops_host_and_token() -> None:
    def respond(asked: Asked) -> tuple[int, Any]:
        token = f"token-of-{asked.headers['Host']}".replace(":", "-")
        return (201, {"token": token}) if asked.path == "/api/sessions" else (200, asked.path)

    steps = [sign_in("ada", "ada@example.com"), on_wire("odd", HOST_AND_TOKEN, actor="ada")]
    with StandIn(respond) as a, StandIn(respond) as b:
        (found,) = run_script(steps, a.url, b.url)
    assert found.a == f"body: '/token-of-127.0.0.1-{a.port}'"
    assert found.b == f"body: '/token-of-127.0.0.1-{b.port}'"


@pytest.mark.parametrize("statuses", [(400, 400), (400, 431), (505, 404)])
def test_how_a_server_refuses_what_is_not_http_may_differ(statuses: tuple[int, int]) -> None:
    one, other = statuses
    step = on_wire("not HTTP", "GET / HTTP/1.1\nHost: {host}", is_http=False)
    with StandIn(lambda _: (one, "one text")) as a, StandIn(lambda _: (other, "another")) as b:
        assert run_script([step], a.url, b.url) == []


@pytest.mark.parametrize("status", [200, 302, 401, 500, 502])
def test_that_only_one_shop_refuses_it_may_not(status: int) -> None:
    step = on_wire("not HTTP", "GET / HTTP/1.1\nHost: {host}", is_http=False)
    with StandIn(lambda _: (400, {})) as a, StandIn(lambda _: (status, {})) as b:
        assert len(run_script([step], a.url, b.url)) == 1


def test_what_is_http_is_compared_whole_also_on_the_wire() -> None:
    step = on_wire("odd path", "GET /API HTTP/1.1\nHost: {host}")
    with StandIn(lambda _: (404, {})) as a, StandIn(lambda _: (400, {})) as b:
        assert len(run_script([step], a.url, b.url)) == 1


def test_the_order_of_allow_is_compared() -> None:
    with (
        StandIn(lambda _: (405, {}, {"Allow": "GET, PUT"})) as a,
        StandIn(lambda _: (405, {}, {"Allow": "PUT, GET"})) as b,
    ):
        assert len(run_script([get("odd method", "/")], a.url, b.url)) == 1


def recommending(answers: list[int]) -> Callable[[Asked], tuple[int, Any]]:
    """A shop that recommends the next of these each time, and at the end always the last."""

    def respond(asked: Asked) -> tuple[int, Any]:
        if "recommendations" not in asked.path:
            return 201, {"id": "same"}
        return 200, {"items": [answers.pop(0) if len(answers) > 1 else answers[0]]}

    return respond


ORDER_FIRST = [
    send("checkout", "POST", "/api/orders", {}, key="key"),
    get("recommend", "/api/products/P1/recommendations"),
]


def test_recommendations_may_agree_with_a_delay_after_an_order() -> None:
    with StandIn(recommending([1])) as a, StandIn(recommending([2, 2, 1])) as b:
        assert run_script(ORDER_FIRST, a.url, b.url) == []


def test_before_any_order_recommendations_must_agree_at_once() -> None:
    with StandIn(recommending([1])) as a, StandIn(recommending([2, 1])) as b:
        assert len(run_script(ORDER_FIRST[1:], a.url, b.url)) == 1


def test_recommendations_that_never_agree_are_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "SETTLE_SECONDS", 0.2)
    asked = [2] * 1000
    with StandIn(recommending([1])) as a, StandIn(recommending(asked)) as b:
        found = run_script(ORDER_FIRST + ORDER_FIRST[1:] * 5, a.url, b.url)
    assert [difference.step for difference in found] == [2, 3, 4, 5, 6, 7]

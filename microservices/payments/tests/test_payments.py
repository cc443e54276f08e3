"""Payments over HTTP, as orders sees them."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from microservices.chassis.config import sqlite_url
from microservices.chassis.runtime import runtime
from microservices.payments import provider
from microservices.payments.app import create_app
from microservices.payments.models import Base, Payment
from microservices.payments.seed import tables
from microservices.seeding import fill
from microservices.tests.one_service import ServiceUnderTest


@pytest.fixture
def payments(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    payments = ServiceUnderTest(
        create_app, tmp_path, callers=["orders", "storefront"], SHOP_PAYMENT_TIMEOUT_SECONDS="0.01"
    )
    yield payments
    payments.close()


@pytest.fixture
def http(payments: ServiceUnderTest) -> Any:
    return payments.http


@pytest.fixture
def orders(payments: ServiceUnderTest) -> dict[str, str]:
    return payments.as_service("orders")


def capture(
    http: Any,
    orders: dict[str, str],
    amount: int = 500,
    card: str = provider.APPROVED_CARD,
    order: str = "o-1",
) -> Any:
    asked = {"order_id": order, "amount_cents": amount, "card_number": card}
    return http.post("/internal/payments", json=asked, headers=orders)


def refund(http: Any, orders: dict[str, str], order: str = "o-1") -> Any:
    return http.post(f"/internal/payments/{order}/refund", headers=orders)


def books(payments: ServiceUnderTest) -> dict[str, tuple[int, int]]:
    """What was captured and refunded, by order."""
    with runtime(payments.app).database.reading() as db:
        rows = db.execute(select(Payment.order_id, Payment.captured_cents, Payment.refunded_cents))
        return {order_id: (captured, refunded) for order_id, captured, refunded in rows}


def slug(response: Any) -> str:
    return str(response.json["type"]).removeprefix("/problems/")


def test_an_approved_card_pays_once_however_often_it_is_asked(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = []
    monkeypatch.setattr(provider, "charge", lambda _order_id, card, _timeout: charged.append(card))
    for _ in range(3):
        paid = capture(http, orders)
        assert paid.status_code == 201
        assert paid.json == {"order_id": "o-1", "status": "captured", "amount_cents": 500}
    assert books(payments) == {"o-1": (500, 0)}
    assert charged == [provider.APPROVED_CARD]


@pytest.mark.parametrize("card", [provider.DECLINED_CARD, "4111111111111111", "123456789012"])
def test_any_other_card_is_declined_and_nothing_is_taken(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str], card: str
) -> None:
    refused = capture(http, orders, card=card)
    assert (refused.status_code, slug(refused)) == (402, "payment-declined")
    assert books(payments) == {}


def test_a_silent_provider_is_given_up_and_nothing_is_taken(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    started = time.monotonic()
    refused = capture(http, orders, card=provider.SILENT_CARD)
    assert (refused.status_code, slug(refused)) == (504, "payment-timed-out")
    assert time.monotonic() - started >= 0.01
    assert books(payments) == {}


def test_a_refund_gives_back_all_of_it_once(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    capture(http, orders)
    for _ in range(3):
        assert refund(http, orders).json == {"order_id": "o-1", "status": "refunded", "amount_cents": 500}
    assert books(payments) == {"o-1": (500, 500)}
    late = capture(http, orders)
    assert (late.status_code, slug(late)) == (409, "payment-closed")


def test_a_refund_before_its_capture_is_remembered(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    assert refund(http, orders).json == {"order_id": "o-1", "status": "refunded", "amount_cents": 0}
    late = capture(http, orders)
    assert (late.status_code, slug(late), late.json["state"]) == (409, "payment-closed", "refunded")
    assert books(payments) == {"o-1": (0, 0)}


def test_a_refund_while_the_provider_is_asked_wins(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def charge(order_id: str, card_number: str, timeout: float) -> None:
        assert refund(payments.http, orders).status_code == 200

    voided: list[str] = []
    monkeypatch.setattr(provider, "void", voided.append)
    monkeypatch.setattr(provider, "charge", charge)
    late = capture(http, orders)
    assert (late.status_code, slug(late)) == (409, "payment-closed")
    assert books(payments) == {"o-1": (0, 0)}
    assert voided == ["o-1"], "what the provider took meanwhile is given back"


def test_no_transaction_is_open_while_the_provider_is_asked(
    payments: ServiceUnderTest,
    http: Any,
    orders: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def charge(order_id: str, card_number: str, timeout: float) -> None:
        other = sqlite3.connect(tmp_path / "test.sqlite3", timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        other.close()

    monkeypatch.setattr(provider, "charge", charge)
    assert capture(http, orders).status_code == 201


def test_the_same_capture_many_times_at_once_is_one_payment(
    payments: ServiceUnderTest, orders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8)
    monkeypatch.setattr(provider, "charge", lambda _order_id, _card, _timeout: together.wait(10))
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(capture(payments.http, orders).status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [201] * 8
    assert books(payments) == {"o-1": (500, 0)}


def test_another_amount_for_the_same_order_is_refused(
    payments: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    capture(http, orders)
    refused = capture(http, orders, amount=501)
    assert (refused.status_code, slug(refused)) == (409, "payment-closed")
    assert books(payments) == {"o-1": (500, 0)}


@pytest.mark.parametrize("path", ["", "/o-1/refund"])
def test_payments_are_for_orders_only(http: Any, payments: ServiceUnderTest, path: str) -> None:
    assert http.post(f"/internal/payments{path}").status_code == 401
    assert (
        http.post(f"/internal/payments{path}", headers=payments.as_service("storefront")).status_code == 403
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_cents": -1},
        {"amount_cents": "1"},
        {"card_number": "4242 4242 4242 4242"},
        {"order_id": "a b"},
    ],
)
def test_invalid_input_is_refused(http: Any, orders: dict[str, str], wrong: dict[str, Any]) -> None:
    good = {"order_id": "o-1", "amount_cents": 1, "card_number": provider.APPROVED_CARD}
    refused = http.post("/internal/payments", json=good | wrong, headers=orders)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == list(wrong)


def test_card_numbers_are_neither_stored_nor_logged(
    http: Any, orders: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        for card in (provider.APPROVED_CARD, provider.DECLINED_CARD):
            capture(http, orders, card=card, order=f"o-{card[-1]}")
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert provider.APPROVED_CARD.encode() not in kept
    assert provider.APPROVED_CARD not in caplog.text
    assert provider.DECLINED_CARD not in caplog.text


def test_past_orders_are_paid(tmp_path: Path, payments: ServiceUnderTest) -> None:
    payments.close()
    past = [{"id": "o-8", "total_cents": 800}, {"id": "o-9", "total_cents": 900}]
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, past)), encoding="utf-8")
    fill(sqlite_url(tmp_path / "test.sqlite3"), Base, tables(tmp_path))
    assert books(payments) == {"o-8": (800, 0), "o-9": (900, 0)}

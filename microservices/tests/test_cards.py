"""What both shops store of a card: enough to recognise it, but not enough to find its number."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from microservices.orders import cards as split_cards
from microservices.tests.shops import CARD, DECLINED, InProcessShop, shop_in_process, stored_rows
from monolith.orders import cards as monolith_cards

BOTH = pytest.mark.parametrize("cards", [monolith_cards, split_cards], ids=["monolith", "split"])


@pytest.fixture(params=["monolith", "split"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InProcessShop]:
    with shop_in_process(request.param, tmp_path) as shop:
        yield shop


def everything_stored(shop: InProcessShop) -> str:
    """All rows of all tables, as text."""
    found = []
    for service in ("accounts", "cart", "inventory", "payments", "orders"):
        engine = shop.app(service).extensions["database"].engine
        found += [row for rows in stored_rows(engine).values() for row in rows]
    return "\n".join(found)


def test_neither_a_cards_number_nor_a_plain_hash_of_it_is_stored(shop: InProcessShop) -> None:
    for key, card in (("key-00000001", CARD), ("key-00000002", DECLINED)):
        shop.put_in_cart("C00001", "P00001")
        shop.check_out("C00001", key, card)
    stored = everything_stored(shop)
    assert "key-00000001" in stored
    for card in (CARD, DECLINED):
        assert card not in stored
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            assert hashlib.new(name, card.encode()).hexdigest() not in stored


def test_a_card_is_recognised_by_its_fingerprint(shop: InProcessShop) -> None:
    shop.put_in_cart("C00001", "P00001")
    assert shop.check_out("C00001", "key-00000001").status == 201
    assert shop.check_out("C00001", "key-00000001").replayed
    assert shop.check_out("C00001", "key-00000001", DECLINED).status == 422


@BOTH
def test_two_shops_keep_different_fingerprints_of_one_card(
    cards: ModuleType, shop: InProcessShop, tmp_path: Path
) -> None:
    app = shop.app("orders")
    with app.app_context():
        first = cards.fingerprint(CARD)
        app.extensions["card_key"] = cards.ensure_key(tmp_path / "other.key")
        second = cards.fingerprint(CARD)
    assert first != second
    assert len(first) == len(second) == 64


@BOTH
def test_the_key_is_for_its_owner_only_and_outlives_a_restart(cards: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "keys" / "orders.key"
    key = cards.ensure_key(file)
    assert len(key) == 32
    assert cards.ensure_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@BOTH
def test_a_slower_replica_takes_the_key_that_a_faster_one_made(
    cards: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = cards.ensure_key(tmp_path / "orders.key")
    monkeypatch.setattr(Path, "exists", lambda _path: False)  # as if it had looked before the file was there
    assert cards.ensure_key(tmp_path / "orders.key") == key
    assert [file.name for file in tmp_path.iterdir()] == ["orders.key"]

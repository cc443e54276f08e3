"""Reads what people type into the pages, and holds the messages for input that cannot be used.

The modules behind the pages check everything again, and these checks are never stricter than theirs. They are here
to name the field and the next step in the shopper's words.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LAST_PAGE = 10_000
MAX_PIECES = 99
LONGEST_SEARCH = 100
LONGEST_CATEGORY = 40

_SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{1,19}")
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ORDER_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_EMAIL = re.compile(r"[^\s@\x00]{1,64}@[^\s@\x00]{1,185}\.[^\s@.\x00]{1,63}")
# Browsers read a backslash as a slash and drop tabs and newlines, so `/\host` and `/<tab>/host` lead to another site.
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a page says about a refusal, and whether pressing the button again repeats the same attempt."""

    heading: str
    sentence: str
    same_attempt: bool = False


def is_sku(text: str) -> bool:
    """Whether the text has the form of a SKU."""
    return _SKU.fullmatch(text) is not None


def is_order_id(text: str) -> bool:
    """Whether the text has the form of an order's number; anything else does not go into an address."""
    return _ORDER_ID.fullmatch(text) is not None


def local_path(text: str) -> str:
    """The text when it is a path of this shop, else the home page: a link must not lead to another site."""
    return text if _LOCAL_PATH.fullmatch(text) and len(text) <= 500 else "/"


def page_number(args: Mapping[str, str]) -> int:
    """The requested page; anything that is not a page number means the first."""
    text = args.get("page", "")
    return min(int(text), LAST_PAGE) or 1 if text.isascii() and text.isdigit() and len(text) < 10 else 1


def words(args: Mapping[str, str]) -> str:
    """The search as typed, cut to the length that the catalog accepts."""
    return args.get("q", "").replace("\x00", "").strip()[:LONGEST_SEARCH].rstrip()


def category(args: Mapping[str, str]) -> str:
    """The requested category; text that is too long for one is cut and finds nothing."""
    return args.get("category", "").replace("\x00", "")[:LONGEST_CATEGORY]


def typed(form: Mapping[str, str], field: str) -> str:
    """What was typed into a field, without the space around it that phones often add."""
    return form.get(field, "").replace("\x00", "").strip()


def quantities(cart: Mapping[str, Any]) -> dict[str, int]:
    """The quantities in a cart, by SKU."""
    return {item["sku"]: item["quantity"] for item in cart["items"]}


def quantity(form: Mapping[str, str]) -> int | None:
    """The quantity, 0 for none; None when it is not a number from 0 to 99."""
    text = form.get("quantity", "").strip()
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1
    return wanted if 0 <= wanted <= MAX_PIECES else None


def new_key() -> str:
    """A key for one attempt to check out; it is in the form, so sending the form twice buys once."""
    return secrets.token_urlsafe(18)


def key(form: Mapping[str, str]) -> str | None:
    """The key in the checkout form; None when it is not one of ours."""
    text = form.get("key", "")
    return text if _KEY.fullmatch(text) else None


def card_problem(card_number: str) -> str:
    """What is wrong with the card number; empty when it can be sent."""
    digits = card_number.replace(" ", "")
    if not digits:
        return "Type the number of a card."
    if not digits.isascii() or not digits.isdigit():
        return "A card number has only digits and spaces."
    return (
        "" if 12 <= len(digits) <= 19 else f"A card number has 12 to 19 digits, and this has {len(digits)}."
    )


def registration_problems(name: str, email: str, password: str) -> dict[str, str]:
    """What is wrong with a registration, by field; empty when it can be sent."""
    problems = {}
    if not 1 <= len(name) <= 80 or "\x00" in name:
        problems["name"] = "Type a name of at most 80 characters."
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        problems["email"] = "Type an email address such as name@example.com."
    if not 8 <= len(password) <= 128 or "\x00" in password:
        problems["password"] = "Choose a password of 8 to 128 characters."  # noqa: S105 - a sentence
    return problems


def foreign(sender: str, host: str) -> str:
    """What a page says about a form whose `sender`, the address of its page, is not `host`; it may be unknown."""
    if not sender:
        return "The browser did not say from which page it came, so nothing was done. Open the page here and try again."
    return (
        f"It came from {sender[:200]}, and this shop was called as {host[:200]}, so nothing was done. Open the page "
        "here and try again. If both are addresses of this shop, as with a forwarded port, start it with "
        f"SHOP_TRUSTED_ORIGINS={sender[:200]}"
    )


def can_be_credentials(email: str, password: str) -> bool:
    """Whether an account may have this email and password; others are wrong without asking."""
    return len(email) <= 254 and len(password) <= 128 and "\x00" not in password


def refused_sign_in(slug: str) -> str:
    """What the sign-in page says about a refusal; empty when it has nothing to say."""
    return {
        "wrong-credentials": "No account has this email and password. Check both, or register.",
        "too-many-attempts": "There were too many wrong passwords for this email. Try again in a few minutes.",
        "invalid-request": "No account has this email and password. Check both, or register.",
    }.get(slug, "")


def refused_checkout(slug: str, facts: Mapping[str, Any], cart: Mapping[str, Any]) -> Sentence:
    """What the checkout page says about a refusal; `facts` are those of the problem, `cart` has the names."""
    if slug == "out-of-stock":
        names = {item["sku"]: item["name"] for item in cart["items"]}
        name, left = names.get(facts["sku"], facts["sku"]), facts["available"]
        return Sentence(
            f"There is not enough of {name}.",
            f"You want {facts['wanted']}, and {left or 'none'} of it {'are' if left > 1 else 'is'} left. "
            "Nothing was paid. Change the cart and try again.",
        )
    return _REFUSED.get(slug, _CANCELLED if facts.get("final") else _UNCLEAR)


_UNCLEAR = Sentence(
    "The checkout did not answer.",
    "It may have gone through or not. Press the button again with the same card: "
    "this form can be paid only once. You can also look in your orders.",
    same_attempt=True,
)
_CANCELLED = Sentence(
    "The checkout was cancelled.",
    "A part of the shop did not answer. Nothing was paid, and your cart is as it was. Try again in a moment.",
)
_REFUSED = {
    "payment-declined": Sentence(
        "The card was declined.", "Nothing was paid, and your cart is as it was. Try another card."
    ),
    "payment-timed-out": Sentence(
        "The payment provider did not answer in time.",
        "Nothing was paid, and your cart is as it was. Try again, or try another card.",
    ),
    "cart-empty": Sentence("Your cart is empty.", "There was nothing to order."),
    "checkout-in-progress": Sentence(
        "This order is being placed already.", "Wait a moment and press the button again.", same_attempt=True
    ),
    "idempotency-key-reused": Sentence(
        "This form was sent before with another card.",
        "Look in your orders whether it went through before you pay again.",
    ),
    "idempotency-key-required": Sentence(
        "This form was too old to use.", "Nothing was paid. Here is a new one; please try again."
    ),
}

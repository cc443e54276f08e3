"""The stand-in for a payment provider: test cards decide what it does, as real providers' test modes do."""

from __future__ import annotations

import time

APPROVED_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
SILENT_CARD = "4000000000000119"


class Declined(Exception):
    """The provider refuses the card."""


class TimedOut(Exception):
    """The provider did not answer in time; the charge was voided."""


def charge(order_id: str, card_number: str, timeout: float) -> None:  # noqa: ARG001 - a real provider needs it
    """Charge a card; raises Declined, or TimedOut after `timeout` seconds.

    The order's id is the idempotency key, as with real providers: a second charge returns the first outcome.
    """
    if card_number == SILENT_CARD:
        time.sleep(timeout)
        raise TimedOut
    if card_number != APPROVED_CARD:
        raise Declined


def void(order_id: str) -> None:
    """Take a charge back, if there was one; the stand-in keeps no money, so it has none to return."""

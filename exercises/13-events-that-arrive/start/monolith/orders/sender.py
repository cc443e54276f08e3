"""Tells the mailer about orders.

`announce` is the version of one afternoon, which you are going to replace by `send_next`.
"""

from __future__ import annotations

import logging
import uuid

from flask import Flask

from ..chassis.background import repeat
from ..chassis.database import reading
from ..chassis.runtime import runtime
from . import mailer, outbox
from .confirmation import ORDER_CONFIRMED, confirmation

log = logging.getLogger(__name__)

ATTEMPTS = 2


def announce(customer_id: str, order_id: str) -> None:
    """Send the event of an order that is committed. It is tried twice, because the network is sometimes bad; then the
    customer has waited long enough.
    """
    with reading() as db:
        event: mailer.Event = {
            "id": uuid.uuid4().hex,
            "type": ORDER_CONFIRMED,
            "data": confirmation(db, customer_id, order_id),
        }
    for _ in range(ATTEMPTS):
        if mailer.post(event) == mailer.TAKEN:
            return
    log.error("order %s has no confirmation: the mailer did not take it", order_id)


def send_next() -> bool:
    """Send the first event that waits; returns whether to go on at once: not when none waits, or it was not taken."""
    return False


def start_sending(app: Flask) -> None:
    """Call `send_next` while this process serves: again at once after True, in SHOP_FEED_SECONDS after False."""
    outbox.show_gauges(app)
    repeat(app, "sender", send_next, runtime(app).config.feed_interval)

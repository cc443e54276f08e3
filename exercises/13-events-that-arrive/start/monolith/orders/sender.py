"""Tells the mailer about orders.

`announce` is the version of one afternoon, which you are going to replace by `send_next`.
"""

from __future__ import annotations

import logging
import threading
import uuid

from flask import Flask

from ..chassis.database import reading
from ..chassis.runtime import runtime
from . import mailer, outbox
from .confirmation import ORDER_CONFIRMED, confirmation

log = logging.getLogger(__name__)

LONGEST_PAUSE = 4
"""In usual pauses. Few, because you wait for it; in production a minute is common, to spare the mailer."""
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
        try:
            if mailer.post(event) == mailer.TAKEN:
                return
        except mailer.MailerSilent as error:
            log.warning("order %s: %s", order_id, error)
    log.error("order %s has no confirmation: the mailer did not take it", order_id)


def send_next() -> bool:
    """Send the first event that waits; returns whether there may be more. Raises when it has to be sent again later."""
    return False


def start_sending(app: Flask) -> None:
    """Call `send_next` for as long as this process serves: again at once, or after SHOP_FEED_SECONDS if nothing waits.

    After an exception, which is logged, the pauses grow.
    """
    outbox.show_gauges(app)
    usual = runtime(app).config.feed_interval

    def run() -> None:
        never, pause = threading.Event(), usual
        while not never.wait(pause):
            try:
                with app.app_context():
                    pause = 0.0 if send_next() else usual
            except Exception as error:  # noqa: BLE001 -- otherwise one error would end the thread for good
                log.warning("the outbox waits: %s", error)
                pause = min(LONGEST_PAUSE * usual, max(usual, pause * 2))

    threading.Thread(target=run, name="sender", daemon=True).start()

"""Tells the mailer about orders: sends the events of the outbox, in a thread of each serving process."""

from __future__ import annotations

import logging
import threading
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from ..chassis.database import reading, writing
from ..chassis.runtime import runtime
from . import mailer, outbox
from .outbox import OutboxEvent

log = logging.getLogger(__name__)

LONGEST_PAUSE = 4
"""In usual pauses. Few, because you wait for it; in production a minute is common, to spare the mailer."""


REFUSED_FOR_EVER = 422
"""The mailer understands this event and will never take it. Every other refusal may be over in a minute."""
FIRST = (
    select(OutboxEvent.position, OutboxEvent.id, OutboxEvent.type, OutboxEvent.data)
    .where(OutboxEvent.sent_at.is_(None), OutboxEvent.refused.is_(None))
    .order_by(OutboxEvent.position)
    .limit(1)
)


class NotTaken(Exception):
    """The mailer did not take the event this time."""


def send_next() -> bool:
    """Send the first event that waits; returns whether there may be more. Raises when it has to be sent again later."""
    with reading() as db:
        event = db.execute(FIRST).first()
    if event is None:
        return False
    # No transaction is open here: while the mailer hangs, others write.
    status = mailer.post({"id": event.id, "type": event.type, "data": event.data})
    if status == mailer.TAKEN:
        _settle(event.position, sent_at=outbox.now())
    elif status == REFUSED_FOR_EVER:
        log.error("order %s gets no confirmation: the mailer refuses its event", event.data["order_id"])
        _settle(event.position, refused=f"The mailer answered {status}.")
    else:
        raise NotTaken(f"the mailer answered {status}")
    return True


def _settle(position: int, **outcome: Any) -> None:
    with writing() as db:
        db.execute(update(OutboxEvent).where(OutboxEvent.position == position).values(**outcome))


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

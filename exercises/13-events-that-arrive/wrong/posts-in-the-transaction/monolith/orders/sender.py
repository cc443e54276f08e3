"""Tells the mailer about orders: sends the events of the outbox, in a thread of each serving process."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask
from sqlalchemy import Connection, select, update

from ..chassis.background import repeat
from ..chassis.database import writing
from ..chassis.runtime import runtime
from . import mailer, outbox
from .outbox import OutboxEvent

log = logging.getLogger(__name__)


REFUSED_FOR_EVER = 422
"""The mailer understands this event and will never take it. Every other refusal may be over in a minute."""
FIRST = (
    select(OutboxEvent.position, OutboxEvent.id, OutboxEvent.type, OutboxEvent.data)
    .where(OutboxEvent.sent_at.is_(None), OutboxEvent.refused.is_(None))
    .order_by(OutboxEvent.position)
    .limit(1)
)


def send_next() -> bool:
    """Send the first event that waits; returns whether to go on at once: not when none waits, or it was not taken."""
    with writing() as db:
        event = db.execute(FIRST.with_for_update()).first()
        if event is None:
            return False
        status = mailer.post({"id": event.id, "type": event.type, "data": event.data})
        if status == mailer.TAKEN:
            _settle(db, event.position, sent_at=outbox.now())
        elif status == REFUSED_FOR_EVER:
            log.error("order %s gets no confirmation: the mailer refuses its event", event.data["order_id"])
            _settle(db, event.position, refused=f"The mailer answered {status}.")
        else:
            return False
    return True


def _settle(db: Connection, position: int, **outcome: Any) -> None:
    db.execute(update(OutboxEvent).where(OutboxEvent.position == position).values(**outcome))


def start_sending(app: Flask) -> None:
    """Call `send_next` while this process serves: again at once after True, in SHOP_FEED_SECONDS after False."""
    outbox.show_gauges(app)
    repeat(app, "sender", send_next, runtime(app).config.feed_interval)

"""What the mailer does with an event."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import OperationalError

from ..chassis.database import upsert, writing
from . import letters
from .models import Mail, Taken


def take(event_id: str, order: dict[str, Any]) -> None:
    """Write the confirmation of an order, once for each event; raises Undeliverable when there can be none.

    The event's id and the mail are in one transaction. When two requests bring the same event at the same time, the
    primary key of the inbox makes the second one wait for the first.
    """
    letter = letters.confirmation(order)
    with writing() as db:
        if not _knows(db, event_id):
            db.execute(insert(Mail), letter)
    with writing() as db:
        db.execute(upsert(db.dialect.name, Taken).on_conflict_do_nothing(), {"event_id": event_id})


def _knows(db: Connection, event_id: str) -> bool:
    with suppress(OperationalError):  # a table that is missing has no events
        return db.execute(select(Taken).where(Taken.event_id == event_id)).first() is not None
    return False

"""What the mailer does with an event."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from ..chassis.database import upsert, writing
from . import letters
from .models import Mail, Position


def take(_event_id: str, order: dict[str, Any]) -> None:
    """Write the confirmation of an order, once for each event; raises Undeliverable when there can be none.

    The event's id and the mail are in one transaction. When two requests bring the same event at the same time, the
    primary key of the inbox makes the second one wait for the first.
    """
    letter = letters.confirmation(order)
    with writing() as db:
        seen = upsert(db.dialect.name, Position)
        newer = seen.on_conflict_do_update(
            index_elements=["id"],
            set_={"number": seen.excluded.number},
            where=seen.excluded.number > Position.number,
        )
        if db.execute(newer, {"id": 1, "number": order["number"]}).rowcount:
            db.execute(insert(Mail), letter)

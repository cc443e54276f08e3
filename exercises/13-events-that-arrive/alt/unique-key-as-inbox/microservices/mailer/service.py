"""What the mailer does with an event."""

from __future__ import annotations

from typing import Any

from ..chassis.database import upsert, writing
from . import letters
from .models import Mail


def take(event_id: str, order: dict[str, Any]) -> None:
    """Write the confirmation of an order, once for each event; raises Undeliverable when there can be none.

    The event's id is in the row of the mail. When two requests bring the same event at the same time, its unique key
    makes the second one wait for the first.
    """
    letter = letters.confirmation(order)
    with writing() as db:
        new = upsert(db.dialect.name, Mail).on_conflict_do_nothing(index_elements=["event_id"])
        db.execute(new, {"event_id": event_id, **letter})

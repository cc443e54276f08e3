"""What the mailer does with an event."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from ..chassis.database import writing
from . import letters
from .models import Mail


def take(event_id: str, order: dict[str, Any]) -> None:  # noqa: ARG001 -- not yet
    """Write the confirmation of an order; raises Undeliverable when there can be none."""
    letter = letters.confirmation(order)
    with writing() as db:
        db.execute(insert(Mail), letter)

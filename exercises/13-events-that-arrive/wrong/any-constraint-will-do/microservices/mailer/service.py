"""What the mailer does with an event."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from ..chassis.database import writing
from . import letters
from .models import Mail, Taken

log = logging.getLogger(__name__)


def take(event_id: str, order: dict[str, Any]) -> None:
    """Write the confirmation of an order, once for each event; raises Undeliverable when there can be none.

    The event's id and the mail are in one transaction. When two requests bring the same event at the same time, the
    primary key of the inbox makes the second one wait for the first.
    """
    letter = letters.confirmation(order)
    try:
        with writing() as db:
            db.execute(insert(Taken), {"event_id": event_id})
            db.execute(insert(Mail), letter)
    except IntegrityError:
        log.info("event %s came again", event_id)

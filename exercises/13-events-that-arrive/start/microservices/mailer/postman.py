"""The postman: brings written mails to the post office, one after the other, and notes what was delivered.

If it dies between the two, it delivers the mail again, under its name, and the post office has it once.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select, update

from ..chassis.database import reading, writing
from ..chassis.runtime import runtime
from .models import Mail
from .post_office import PostOffice


def deliver_next() -> bool:
    """Deliver the first mail that waits; returns whether there may be more."""
    waiting = select(Mail.number, Mail.message_id, Mail.text).where(Mail.delivered_at.is_(None))
    with reading() as db:
        mail = db.execute(waiting.order_by(Mail.number).limit(1)).first()
    if mail is None:
        return False
    runtime().settings(PostOffice).deliver(mail.message_id, mail.text)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with writing() as db:
        db.execute(update(Mail).where(Mail.number == mail.number).values(delivered_at=now))
    return True

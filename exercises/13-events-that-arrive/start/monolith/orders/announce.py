"""Tells the mailer about an order: the version of one afternoon, which you are going to replace.

It tries twice, because the network is sometimes bad, and then gives up, because the customer waits.
"""

from __future__ import annotations

import logging
import uuid

from ..chassis.database import reading
from . import mailer
from .confirmation import ORDER_CONFIRMED, confirmation

log = logging.getLogger(__name__)

ATTEMPTS = 2


def announce(customer_id: str, order_id: str) -> None:
    """Send the event of this order, which is committed already; an event that does not arrive is logged."""
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

"""Who answers how many of a product there are: the monolith's table, or the service once the reads are switched.

The table has the truth in either case: the sale happens there. So it also answers when the service does not, and while
a change is on its way there: nobody sees a number again that he has just changed.
"""

from __future__ import annotations

import logging
from typing import Any

from ..chassis.database import reading
from . import client, service, states

NOTE, SERVICE = "reads", "service"
log = logging.getLogger(__name__)


def availability(sku: str) -> dict[str, Any]:
    """How many of a product can be bought now; raises UnknownProduct."""
    with reading() as db:
        ask_service = states.note(db, NOTE) == SERVICE and not states.is_unsent(db, sku)
    if ask_service:
        try:
            return client.availability(sku)
        except client.InventoryUnavailable as error:
            log.warning("the table answers for %s: %s", sku, error)
    with reading() as db:
        return service.availability(db, sku)

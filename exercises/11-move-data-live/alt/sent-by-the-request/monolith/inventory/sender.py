"""The second write: the request sends what it changed after its commit, and a thread sends what was missed.

Both read what was committed, so there is nothing to send before the commit and nothing is forgotten after a crash.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from ..chassis.database import Database
from . import client, states

AT_A_TIME = 100
log = logging.getLogger(__name__)


def try_once(database: Database) -> None:
    """Something was committed: send it now. When that fails, the thread sends it later."""
    with suppress(client.InventoryUnavailable):
        send_unsent(database)


def start(database: Database, pause: float) -> None:
    """Send from now on, in a thread of this process, also what another process did not send before it died."""
    threading.Thread(target=_run, args=(database, pause), name="inventory-sender", daemon=True).start()


def send_unsent(database: Database) -> bool:
    """Send what the service does not have; returns whether there may be more."""
    with database.reading() as db:
        waiting = states.unsent(db, AT_A_TIME)
    if waiting:
        client.send(waiting)
        with database.writing() as db:
            states.confirm(db, waiting)
    return len(waiting) == AT_A_TIME


def _run(database: Database, pause: float) -> None:
    while True:
        time.sleep(pause)
        try:
            while send_unsent(database):
                pass
        except client.InventoryUnavailable:
            pass  # the client has logged why; try again after the pause
        except Exception:
            log.exception("the stock was not sent; it is tried again")

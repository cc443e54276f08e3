"""A thread that sends states of stock, after each change and twice a second. Nobody starts it yet."""

from __future__ import annotations

import logging
import threading

from ..chassis.database import Database
from . import client

AT_A_TIME = 100
log = logging.getLogger(__name__)
_changed = threading.Event()


def wake() -> None:
    """Something was committed: send it now."""
    _changed.set()


def start(database: Database, pause: float) -> None:
    """Send from now on, in a thread of this process, also what another process did not send before it died."""
    threading.Thread(target=_run, args=(database, pause), name="inventory-sender", daemon=True).start()


def send_unsent(database: Database) -> bool:
    """Send up to AT_A_TIME states that the service does not have; returns whether there may be more."""
    raise NotImplementedError


def _run(database: Database, pause: float) -> None:
    while True:
        _changed.wait(pause)
        _changed.clear()
        try:
            while send_unsent(database):
                pass
        except client.InventoryUnavailable:
            _changed.clear()  # the client has logged why; try again after the pause
        except Exception:
            log.exception("the stock was not sent; it is tried again")

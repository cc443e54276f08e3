"""Sends the events of the outbox to the mailer, in a thread of each serving process."""

from __future__ import annotations

import logging
import threading

from flask import Flask

from ..chassis.runtime import runtime
from . import outbox

log = logging.getLogger(__name__)

LONGEST_PAUSE = 4
"""In usual pauses. Few, because you wait for it; in production a minute is common, to spare the mailer."""


def send_next() -> bool:
    """Send the first event that waits; returns whether there may be more. Raises when it has to be sent again later."""
    return False


def start_sending(app: Flask) -> None:
    """Call `send_next` for as long as this process serves: again at once, or after SHOP_FEED_SECONDS if nothing waits.

    After an exception, which is logged, the pauses grow.
    """
    outbox.show_gauges(app)
    usual = runtime(app).config.feed_interval

    def run() -> None:
        never, pause = threading.Event(), usual
        while not never.wait(pause):
            try:
                with app.app_context():
                    pause = 0.0 if send_next() else usual
            except Exception as error:  # noqa: BLE001 -- otherwise one error would end the thread for good
                log.warning("the outbox waits: %s", error)
                pause = min(LONGEST_PAUSE * usual, max(usual, pause * 2))

    threading.Thread(target=run, name="sender", daemon=True).start()

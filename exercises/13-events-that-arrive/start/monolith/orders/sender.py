"""Sends the events of the outbox to the mailer, in a thread of each serving process."""

from __future__ import annotations

import logging
import threading

from flask import Flask

from . import outbox

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 2.0
"""In the workshop; in production a minute is usual. Longer pauses spare a mailer that is coming back."""


def send_next() -> bool:
    """Send the first event that waits; returns whether there may be more. Raises when it has to be sent again later."""
    return False


def start_sending(app: Flask) -> None:
    """Call `send_next` for as long as this process serves: again at once, or after a pause when nothing waits.

    After an exception the pauses grow. The exception is logged, and no event is left out.
    """
    outbox.show_gauges(app)

    def run() -> None:
        never, pause = threading.Event(), PAUSE_SECONDS
        while not never.wait(pause):
            try:
                with app.app_context():
                    pause = 0.0 if send_next() else PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001 -- otherwise one error would end the thread for good
                log.warning("the outbox waits: %s", error)
                pause = min(LONGEST_PAUSE_SECONDS, max(PAUSE_SECONDS, pause * 2))

    threading.Thread(target=run, name="sender", daemon=True).start()

"""A loop beside the requests.

It starts in the serving process, not at import and not when the application is made: the server forks its worker,
and a thread does not survive a fork.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from flask import Flask

log = logging.getLogger(__name__)


def repeat(app: Flask, name: str, step: Callable[[], bool], seconds: float) -> None:
    """Take `step` in a thread of its own every `seconds`, and again at once when it returns True.

    An error is logged, and does not end the loop.
    """

    def run() -> None:
        while True:
            more = False
            try:
                with app.app_context():
                    more = step()
            except Exception:
                log.exception("%s failed, will be tried again", name)
            if not more:
                time.sleep(seconds)

    threading.Thread(target=run, name=name, daemon=True).start()

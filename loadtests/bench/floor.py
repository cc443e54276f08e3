"""The floor of the bench: a bare Flask hello on the same server, `python -m loadtests.bench.floor HOST PORT`.

It shows what framework and server cost without a shop. It is started as a command, as a shop is. Only this file and its
sibling orm.py may import Flask in the lab (.importlinter names them).
"""

import sys
from collections.abc import Callable
from typing import Any

HELLO = {"hello": "world"}


def load(_target: str) -> Callable[..., Any]:
    """The WSGI application, made in the worker process, as in both shops."""
    from flask import Flask

    app = Flask(__name__)
    app.add_url_rule("/api/hello", "hello", lambda: HELLO)
    app.add_url_rule("/readyz", "ready", lambda: {"status": "ready"})
    return app.wsgi_app


def serve(target: str, load: Callable[[str], Callable[..., Any]], host: str, port: int) -> None:
    """Serve the application that `load` makes, as both shops are served, until a signal ends the process."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    MPServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=4,
        websockets=False,
        log_level=LogLevels.critical,
    ).serve(target_loader=load)


if __name__ == "__main__":
    serve("loadtests.bench.floor", load, sys.argv[1], int(sys.argv[2]))

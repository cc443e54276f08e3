"""The floor of the bench: a bare Flask hello on the same server, `python -m loadtests.bench.floor HOST PORT`.

What the framework and the server cost before any shop exists. It is started as a command like a shop; this file and
its sibling orm.py are the only ones of this package that may import Flask (.importlinter names them).
"""

import sys
from collections.abc import Callable
from typing import Any

HELLO = {"hello": "world"}


def load(_target: str) -> Callable[..., Any]:
    """The application, made in the worker as both shops do."""
    from flask import Flask

    app = Flask(__name__)
    app.add_url_rule("/api/hello", "hello", lambda: HELLO)
    app.add_url_rule("/readyz", "ready", lambda: {"status": "ready"})
    return app.wsgi_app


def serve(target: str, load: Callable[[str], Callable[..., Any]], host: str, port: int) -> None:
    """Serve what `load` makes, as both shops are served, until told to stop."""
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

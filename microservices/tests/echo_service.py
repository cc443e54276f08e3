"""The least service for the launcher and the gateway: ready unless drained, it echoes requests, slowly if asked."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qs


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/readyz":
        drained = Path(os.environ["SHOP_DRAIN_FILE"]).exists()
        return _answer(start_response, 503 if drained else 200, {})
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    time.sleep(float(query.get("sleep", "0")))
    if "exit" in query and not Path(os.environ["SHOP_HOME"], query["exit"]).exists():
        Path(os.environ["SHOP_HOME"], query["exit"]).touch()
        os._exit(1)
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    settings = {name: value for name, value in os.environ.items() if name.startswith("SHOP_")}
    facts = {"service": os.environ["SHOP_SERVICE"], "port": os.environ["SHOP_PORT"], "path": path}
    return _answer(start_response, 200, {**facts, "body": body.decode(), "headers": headers, "env": settings})


def _answer(start_response, status, body):
    start_response(f"{status} Status", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


def main():
    from granian.constants import Interfaces
    from granian.server.mp import MPServer

    server = MPServer(
        "microservices.tests.echo_service:app",
        address=os.environ["SHOP_HOST"],
        port=int(os.environ["SHOP_PORT"]),
        interface=Interfaces.WSGI,
        blocking_threads=4,
        log_enabled=False,
    )
    server.serve()


if __name__ == "__main__":
    main()

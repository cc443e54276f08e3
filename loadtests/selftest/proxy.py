"""A proxy in front of a shop that changes one thing: prices are a cent higher. For the lab's test of itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

PRICE = re.compile(rb'("price_cents":\s*)(\d+)')
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Proxy:
    """The address that it answers at."""

    url: str


@contextmanager
def price_changing_proxy(url: str) -> Iterator[Proxy]:
    """Run a proxy in front of the shop at `url` while the context lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(urlsplit(url).netloc))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Proxy(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(host: str) -> type[BaseHTTPRequestHandler]:
    """A handler that forwards each request to `host`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:  # no log on the terminal
            pass

        def forward(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            shop = HTTPConnection(host, timeout=TIMEOUT_SECONDS)
            try:
                shop.request(self.command, self.path, self.rfile.read(length), dict(self.headers))
                answer = shop.getresponse()
                body = PRICE.sub(lambda found: found[1] + b"%d" % (int(found[2]) + 1), answer.read())
            finally:
                shop.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {*HOP_BY_HOP, "server", "date"}:
                    self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - http.server's names

    return Handler

"""A tiny shop for the generator's tests, as a process. It prints its URL and answers as the contract says.

`stub_shop.py DELAY` answers recommendations one at a time, each after DELAY seconds, like a saturated replica. It
refuses the token `ended`, and the first token of a PUT, so that a user has to sign in again. Recommendations are eight
bestsellers (the default limit), then the products that were bought together, then products without a score.
"""

import json
import sys
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DELAY = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
ONE_AT_A_TIME = threading.Lock()
refused: set[str] = set()
orders: set[str] = set()
carts: defaultdict[str | None, set[str]] = defaultdict(set)
sold: Counter[str] = Counter()
together: defaultdict[str, set[str]] = defaultdict(set)


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/api/categories":
            self.answer(200, {"items": [{"slug": "tea", "name": "Tea", "products": 3}]})
        elif path == "/api/products":
            items = [{"sku": f"P{n}", "name": f"Green kettle {n}"} for n in range(3)]
            self.answer(200, {"items": items, "page": 1, "page_size": 100, "total": 3})
        elif path == "/api/prices":
            self.answer(200, {"items": [{"price_cents": 1200}]})
        elif path.endswith("/recommendations"):
            with ONE_AT_A_TIME:
                time.sleep(DELAY)
            sku, limit = path.split("/")[3], parse_qs(urlsplit(self.path).query).get("limit", ["8"])[0]
            found = [(each, 0.5) for each in [*(f"BESTSELLER-{n}" for n in range(8)), *together[sku]]]
            found += [(f"NO-SCORE-{n}", 0.0) for n in range(20)]
            suggested = [{"sku": each, "score": score} for each, score in found[: int(limit)]]
            self.answer(200, {"sku": sku, "items": suggested})
        elif path.startswith("/api/inventory/"):
            self.answer(200, {"available": 100 - sold[path.split("/")[3]]})
        else:
            self.answer(200, {"items": []})

    def do_PUT(self) -> None:
        if self.path.startswith("/api/cart/items/"):
            carts[self.headers["Authorization"]].add(self.path.split("/")[4])
        self.answer(200, {"items": []})

    def do_DELETE(self) -> None:
        self.answer(204, None)

    def do_POST(self) -> None:
        if self.path == "/api/sessions":
            self.answer(200, {"token": f"token-{len(refused)}-{time.monotonic_ns()}"})
        elif self.headers["Idempotency-Key"] in orders:
            self.answer(500, {})
        else:
            orders.add(self.headers["Idempotency-Key"])
            sold_out = len(orders) % 3 == 0
            if not sold_out:
                self.sell(carts.pop(self.headers["Authorization"], set()))
            problem = {"type": "/problems/out-of-stock", "status": 409}
            self.answer(409 if sold_out else 201, problem if sold_out else {"id": "O1"})

    def sell(self, skus: set[str]) -> None:
        sold.update(skus)
        for sku in skus:
            together[sku] |= skus - {sku}

    def answer(self, status: int, body: dict[str, Any] | None) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        token = self.headers.get("Authorization")
        if token == "Bearer ended" or (token and self.command == "PUT" and not refused):
            refused.add(token)
            status, body = 401, {"type": "/problems/not-authenticated", "status": 401}
        data = b"" if body is None else json.dumps(body).encode()
        kind = "application/problem+json" if status >= 400 else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - how the test learns it
    server.serve_forever()

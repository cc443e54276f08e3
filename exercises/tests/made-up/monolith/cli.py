"""A small shop that speaks HTTP."""

import json
import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from monolith import greeting

FILE = unquote(os.environ["SHOP_DATABASE_URL"].removeprefix("sqlite:///"))


def page(path):
    text = None
    if path in ("/", "/readyz"):
        text = "open"
    elif path.startswith("/hello/"):
        text = greeting.hello(path.removeprefix("/hello/"))
    elif path.startswith("/bye/"):
        from monolith import farewell

        text = farewell.bye(path.removeprefix("/bye/"))
    elif path.startswith("/api/products"):
        with sqlite3.connect(FILE) as db:
            rows = db.execute("SELECT sku FROM products ORDER BY sku").fetchall()
        text = json.dumps({"items": [{"sku": row[0]} for row in rows]})
    elif path == "/pid":
        text = str(os.getpid())
    return text


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, text = self.answer()
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self):
        path = unquote(self.path)
        try:
            text = page(path)
        except Exception as error:  # noqa: BLE001 -- a learner's code may raise anything
            print(f"cannot answer {path}: {error}", file=sys.stderr, flush=True)
            return 500, str(error)
        return (404, "nothing") if text is None else (200, text)

    def log_message(self, *_):
        pass


def main():
    if sys.argv[1] == "seed":
        with sqlite3.connect(FILE) as db:
            db.execute("CREATE TABLE products (sku TEXT)")
            db.executemany(
                "INSERT INTO products VALUES (?)", [(f"P{os.environ['SHOP_SEED']}{n}",) for n in range(3)]
            )
    elif sys.argv[1] == "dataset":
        Path(sys.argv[2]).mkdir(parents=True)
    else:
        ThreadingHTTPServer((sys.argv[3], int(sys.argv[5])), Handler).serve_forever()


if __name__ == "__main__":
    main()

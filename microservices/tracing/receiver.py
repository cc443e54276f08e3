"""A small OTLP/HTTP receiver: POST /v1/traces, as protobuf, on loopback."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from flask import Flask, Response, request
from google.protobuf.message import DecodeError
from werkzeug.serving import WSGIRequestHandler, make_server

from microservices.launcher.errors import PortTaken
from microservices.tracing import otlp
from microservices.tracing.store import FILE_NAME, TraceStore

HOST = "127.0.0.1"
MAX_BYTES = 8 << 20
"""Limit of one export, unpacked."""
TOO_LARGE, BAD_REQUEST, UNSUPPORTED = 413, 400, 415


def create_app(store: TraceStore) -> Flask:
    """The receiver as a WSGI application."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES

    @app.post("/v1/traces")
    def traces() -> Response:
        """Store the spans of one export."""
        if request.mimetype != "application/x-protobuf":
            return _refusal(
                "Send OTLP as application/x-protobuf (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf).",
                UNSUPPORTED,
            )
        try:
            body = _unpacked(request.get_data())
            spans = otlp.read(body)
        except (DecodeError, zlib.error):
            return _refusal("The body is no OTLP export.", BAD_REQUEST)
        except OverflowError:
            return _refusal(f"An export may have at most {MAX_BYTES} bytes.", TOO_LARGE)
        store.add(spans)
        return Response(b"", content_type="application/x-protobuf")

    return app


class _Quiet(WSGIRequestHandler):
    """Without a line for each export."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class Receiver:
    """Serves the receiver in a thread while the block runs; `port` 0 takes a free one."""

    def __init__(self, file: Path, port: int = 0) -> None:
        self._store = TraceStore(file)
        self._server = make_server(HOST, port, create_app(self._store), threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, name="traces", daemon=True)

    @classmethod
    def in_home(cls, home: Path, port: int = 0) -> Self:
        """A receiver that stores in the home folder of the shops; raises PortTaken."""
        try:
            return cls(home / FILE_NAME, port)
        except (OSError, SystemExit) as error:  # werkzeug exits when the port is taken
            raise PortTaken(f"Port {port} is taken; choose another with --port.") from error

    def environment(self) -> dict[str, str]:
        """The setting that makes a shop send its traces here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT has to be."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._store.close()


def _unpacked(body: bytes) -> bytes:
    if request.headers.get("Content-Encoding") != "gzip":
        return body
    unpacker = zlib.decompressobj(wbits=31)
    found = unpacker.decompress(body, MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise OverflowError
    return found


def _refusal(sentence: str, status: int) -> Response:
    return Response(sentence, status=status, content_type="text/plain")

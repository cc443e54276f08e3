"""The resource metrics API, as an extension of the API server: the controller asks it for the CPU of pods at each look.

So whoever answers here knows when the controller looks, and can show it other measurements each time.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from microservices.autoscaler.recording.control_plane import ControlPlane
from microservices.launcher.addresses import HOST

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
_PODS = re.compile(rf"^/apis/{re.escape(GROUP)}/{VERSION}/namespaces/([^/]+)/pods(\?.*)?$")
Json = dict[str, Any]
Look = Callable[[str], list[Json]]
"""Called with the namespace at each look; gives the `items` of a PodMetricsList."""


class MetricsApi:
    """The server and its registration with the API server; a context manager."""

    def __init__(self, plane: ControlPlane, look: Look) -> None:
        self._plane = plane
        self._server = ThreadingHTTPServer((HOST, plane.metrics_port), _handler(look))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(plane.certificate, plane.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics API", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._register()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def available(self) -> bool:
        """Whether the API server passes requests on to this one by now."""
        found = self._plane.call("GET", f"/apis/apiregistration.k8s.io/v1/apiservices/{VERSION}.{GROUP}")
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)

    def _register(self) -> None:
        service = {
            "metadata": {"name": "metrics"},
            "spec": {
                "type": "ExternalName",
                "externalName": "localhost",
                "ports": [{"port": self._plane.metrics_port}],
            },
        }
        self._plane.call("POST", "/api/v1/namespaces/default/services", service)
        registration = {
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"namespace": "default", "name": "metrics", "port": self._plane.metrics_port},
            },
        }
        self._plane.call("POST", "/apis/apiregistration.k8s.io/v1/apiservices", registration)


def _handler(look: Look) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = _PODS.match(self.path)
            if asked is None:
                self._answer(_resources())
                return
            self._answer(
                {
                    "kind": "PodMetricsList",
                    "apiVersion": f"{GROUP}/{VERSION}",
                    "metadata": {},
                    "items": look(asked[1]),
                }
            )

        def _answer(self, body: Json) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            pass

    return Handler


def _resources() -> Json:
    pods = {
        "name": "pods",
        "singularName": "",
        "namespaced": True,
        "kind": "PodMetrics",
        "verbs": ["get", "list"],
    }
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [pods],
    }

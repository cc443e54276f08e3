"""A replica as a real process: served, stopped, refused."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

APP = """
import os, pathlib
from flask import Blueprint, request
from microservices.chassis.app import service
from microservices.chassis.background import add_loop

pathlib.Path("imported-by").write_text(str(os.getpid()))
api = Blueprint("tiny", __name__)

@api.get("/pid")
def pid():
    return {"pid": os.getpid()}

@api.post("/name")
def name():
    return request.get_json()

def create_app(env):
    app = service("tiny", env, api)
    def step():
        pathlib.Path("loop-of").write_text(str(os.getpid()))
        return False
    add_loop(app, "loop", step, 0.01)
    inner = app.wsgi_app
    def middleware(environ, start_response):
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("the middleware is broken")
        return inner(environ, start_response)
    app.wsgi_app = middleware
    return app
"""

pytestmark = pytest.mark.processes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def environment(folder: Path, port: int, **settings: str) -> dict[str, str]:
    root = Path(__file__).resolve().parents[3]
    own = {"SHOP_PORT": str(port), "SHOP_THREADS": "2", "PYTHONPATH": f"{folder}:{root}"}
    return (
        {name: value for name, value in os.environ.items() if not name.startswith("SHOP_")} | own | settings
    )


def start(
    folder: Path, env: dict[str, str], target: str = "tiny.app", command: list[str] | None = None
) -> subprocess.Popen[str]:
    arguments = command or ["-m", "microservices.chassis.serve", target]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=env,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def replica(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    process = start(folder, environment(folder, port))
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)


def get(port: int, path: str) -> tuple[int, bytes]:
    return ask(port, "GET", path)


def post(port: int, path: str, body: str) -> tuple[int, Any]:
    status, answer = ask(port, "POST", path, body)
    return status, json.loads(answer)


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_ready(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if get(port, "/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.02)
    pytest.fail(f"not ready within {seconds} s")


def wait_for(file: Path, seconds: float = 10) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if file.exists() and (content := file.read_text()):
            return content
        time.sleep(0.02)
    return pytest.fail(f"{file.name} did not appear within {seconds} s")


def test_the_worker_alone_imports_the_service_and_runs_its_loops(
    replica: subprocess.Popen[str], folder: Path, port: int
) -> None:
    wait_until_ready(port)
    worker = json.loads(get(port, "/pid")[1])["pid"]
    assert worker != replica.pid
    assert (folder / "imported-by").read_text() == str(worker)
    assert wait_for(folder / "loop-of") == str(worker)


def test_a_replica_that_is_told_to_stop_leaves_nothing_behind_and_says_nothing(
    replica: subprocess.Popen[str], port: int
) -> None:
    wait_until_ready(port)
    worker = json.loads(get(port, "/pid")[1])["pid"]
    replica.terminate()
    output, errors = replica.communicate(timeout=15)
    assert (replica.returncode, output, errors) == (0, "", "")
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    with pytest.raises(OSError, match="refused"):
        get(port, "/healthz")


def test_an_error_in_the_middleware_is_in_the_log(replica: subprocess.Popen[str], port: int) -> None:
    wait_until_ready(port)
    assert get(port, "/broken") == (500, b"")
    replica.terminate()
    (line,) = map(json.loads, replica.communicate(timeout=15)[1].splitlines())
    assert (line["level"], line["message"]) == ("error", "GET /broken failed in the middleware")
    assert line["traceback"].endswith("ValueError: the middleware is broken")


@contextmanager
def draining(folder: Path, port: int, seconds: str) -> Iterator[subprocess.Popen[str]]:
    """A replica that drains by itself, after SIGTERM."""
    drain_file = folder / "drain"
    drain_file.touch()  # of an earlier replica in this place
    process = start(
        folder, environment(folder, port, SHOP_DRAIN_FILE=str(drain_file), SHOP_DRAIN_SECONDS=seconds)
    )
    try:
        wait_until_ready(port)
        process.terminate()
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def test_a_replica_that_drains_by_itself_takes_requests_and_says_that_it_goes(
    folder: Path, port: int
) -> None:
    with draining(folder, port, "3600") as replica:
        wait_until_not_ready(port)
        assert get(port, "/pid")[0] == 200
        replica.terminate()
        assert replica.communicate(timeout=15) == ("", "")
        assert replica.returncode == 0


def test_a_replica_that_drains_by_itself_stops_after_its_time(folder: Path, port: int) -> None:
    with draining(folder, port, "0.1") as replica:
        assert replica.communicate(timeout=15) == ("", "")
        assert replica.returncode == 0


def wait_until_not_ready(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if get(port, "/readyz")[0] == 503:
            return
        time.sleep(0.02)
    pytest.fail(f"still ready after {seconds} s")


STALLED = 200
HEAD = b"POST /name HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"


@contextmanager
def stalled_clients(port: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """STALLED clients that send this much of a request, and then nothing."""
    with ExitStack() as stack:
        clients = []
        for _ in range(STALLED):
            clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)))
            clients[-1].sendall(sent)
        yield clients


@pytest.mark.parametrize("sent", [HEAD + b"\r\n{", HEAD], ids=["in the body", "in the head"])
def test_clients_that_stop_in_the_middle_of_a_request_hold_up_nobody(
    replica: subprocess.Popen[str], port: int, sent: bytes
) -> None:
    wait_until_ready(port)
    with stalled_clients(port, sent) as clients:
        assert get(port, "/pid")[0] == 200
        assert post(port, "/name", '{"name": "Ada"}') == (200, {"name": "Ada"})
        if sent != HEAD:
            clients[0].sendall(b'"name": "Bob"' + b" " * 35 + b"}")
            response = http.client.HTTPResponse(clients[0])
            response.begin()
            assert json.loads(response.read()) == {"name": "Bob"}


def test_a_body_that_ends_early_is_answered_400(replica: subprocess.Popen[str], port: int) -> None:
    wait_until_ready(port)
    whole = '{"name": "Ada"}'
    head = HEAD.replace(b"Content-Length: 50", b"Content-Length: %d" % (len(whole) + 1))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head + b"\r\n" + whole.encode())
        client.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(client)
        response.begin()
        answer = json.loads(response.read())
    assert (response.status, answer["type"]) == (400, "/problems/malformed-request")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when something was last sent")
def test_a_connection_whose_body_does_not_come_is_closed(folder: Path, port: int) -> None:
    app = folder / "tiny" / "app.py"
    limits = "unanswered.CHECK_SECONDS, unanswered.IDLE_SECONDS, unanswered.BODY_SECONDS = 0.05, 0.1, 0.1"
    app.write_text(f"from microservices.chassis import unanswered\n{limits}\n{app.read_text()}")
    process = start(folder, environment(folder, port))
    try:
        wait_until_ready(port)
        with stalled_clients(port, HEAD + b"\r\n{") as clients:
            assert all(closed(client) for client in clients)
        assert get(port, "/pid")[0] == 200
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_replica_that_is_told_to_stop_does_not_wait_for_a_stalled_client(folder: Path, port: int) -> None:
    serve = (
        "from microservices.chassis import serve, server; server.STOP_SECONDS = 1; serve.main(['tiny.app'])"
    )
    process = start(folder, environment(folder, port), command=["-c", serve])
    try:
        wait_until_ready(port)
        with stalled_clients(port, HEAD + b"\r\n{"):
            process.terminate()
            process.communicate(timeout=8)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=10)


def test_a_closed_terminal_ends_the_server_and_its_worker(replica: subprocess.Popen[str], port: int) -> None:
    wait_until_ready(port)
    worker = json.loads(get(port, "/pid")[1])["pid"]
    os.killpg(replica.pid, signal.SIGHUP)
    replica.communicate(timeout=15)
    assert replica.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_nohup_keeps_a_replica_running_after_the_terminal_was_closed(folder: Path, port: int) -> None:
    nohup = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "from microservices.chassis import serve; serve.main(['tiny.app'])"
    )
    process = start(folder, environment(folder, port), command=["-c", nohup])
    try:
        wait_until_ready(port)
        worker = get(port, "/pid")
        os.killpg(process.pid, signal.SIGHUP)
        assert get(port, "/pid") == worker
        process.terminate()
        process.communicate(timeout=15)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=10)


def refusal(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=20)
    assert process.returncode in {1, 2}
    assert output == ""
    assert errors.count("\n") == 1, errors
    return errors.strip()


def test_a_port_that_is_taken_is_refused(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "set SHOP_PORT to a free one." in refusal(start(folder, environment(folder, port)))


def test_a_wrong_setting_is_refused(folder: Path, port: int) -> None:
    assert "SHOP_THREADS is '0'" in refusal(start(folder, environment(folder, port, SHOP_THREADS="0")))


@pytest.mark.parametrize("target", ["tiny.nothing", "nothing.app", "tiny"])
def test_a_module_that_is_not_there_is_refused(folder: Path, port: int, target: str) -> None:
    assert "python -m microservices.chassis.serve" in refusal(
        start(folder, environment(folder, port), target)
    )


def test_a_setting_that_only_the_service_knows_is_refused_in_one_sentence_too(
    folder: Path, port: int
) -> None:
    app = folder / "tiny" / "app.py"
    app.write_text(app.read_text().replace("env, api)", 'env, api, calls=["friend"])'))
    assert "SHOP_FRIEND_URL is not set" in refusal(start(folder, environment(folder, port)))

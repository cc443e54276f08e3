"""The page of the two reference shops: what it shows while they are closed and open, and which commands it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from werkzeug.test import Client

from exercises.checks import load_run, reference
from exercises.page import show, traces
from exercises.page.programs import Done
from exercises.page.show import KINDS, ShowDesk, create_show
from microservices.tracing.span import PATH, REQUEST_ID, Span
from microservices.tracing.store import FILE_NAME, TraceStore

SECONDS = 300.0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShowDesk]:
    """A page whose commands are recorded and not run."""
    monkeypatch.setenv("SHOP_HOME", str(tmp_path))
    desk = ShowDesk()
    monkeypatch.setattr(desk.programs, "run", lambda *words: Done(words, 0, "done", ""))
    yield desk
    desk.close()


@pytest.fixture
def client(desk: ShowDesk) -> Client:
    return Client(create_show(desk))


def pretend_open(kind: str) -> None:
    """Write what a launcher writes, with this process as the launcher."""
    folder = reference.home() / "run" / reference.SHOPS[kind].name
    folder.mkdir(parents=True)
    launcher = {"pid": os.getpid(), "created": psutil.Process().create_time()}
    processes = [{"name": f"{kind}-1", "pid": os.getpid(), "created": 1.0, "port": 1}]
    state = {"fleet": "x", "launcher": launcher, "url": "http://127.0.0.1:1", "control": "c"}
    (folder / "state.json").write_text(json.dumps({**state, "processes": processes}))


def test_closed_shops_are_said_to_be_closed(client):
    assert "Both shops have to be open" in client.get("/").text
    for kind in KINDS:
        shown = client.get(f"/panel/{kind}").text
        assert "The shop is closed." in shown
        assert "Open both shops" in shown


def test_an_open_shop_has_its_map_and_its_processes(client):
    before = client.get("/state").json
    pretend_open("microservices")
    assert client.get("/state").json != before
    shown = client.get("/panel/microservices").text
    assert "The microservices" in shown
    assert 'class="map"' in shown
    assert "microservices-1" in shown


def test_a_button_means_the_shop_beside_it(client, desk):
    pretend_open("monolith")
    client.post("/shop/monolith/kill", data={"name": "monolith-1"})
    assert desk.notice.command == "exercises shop --of monolith kill monolith-1"
    client.post("/shop/monolith/scale", data={"name": "monolith", "count": "2"})
    assert desk.notice.command == "exercises shop --of monolith scale monolith=2"


def test_to_slow_lasts_so_it_goes_on_behind_the_page(client, desk, monkeypatch):
    started = []
    monkeypatch.setattr(desk.programs, "start", lambda kind, words, then: started.append(words) or True)
    pretend_open("monolith")
    client.post("/shop/monolith/slow", data={"name": "monolith-1"})
    assert started == [("shop", "--of", "monolith", "slow", "monolith-1")]


@pytest.mark.parametrize("path", ["/shop/other/kill", "/shop/monolith/explode", "/shop/microservices/kill"])
def test_what_is_not_there_is_refused_with_a_sentence(client, desk, path):
    pretend_open("monolith")
    assert client.post(path, data={"name": "monolith-1"}).status_code == 409
    assert client.post("/shop/monolith/kill", data={"name": "--help"}).status_code == 409
    assert desk.notice is None


def test_visitors_come_to_both_at_once(client, desk, monkeypatch):
    started = []
    monkeypatch.setattr(desk.programs, "start", lambda kind, words, then: started.append(words) or True)
    client.post("/load", data={"rate": "3", "spike": "2", "seconds": "30"})
    options = ("--rate", "3", "--spike", "2", "--seconds", "30")
    assert started == [("load", "--of", kind, *options) for kind in KINDS]


def test_the_charts_have_the_visitors_of_both(client):
    for rate, kind in enumerate(KINDS):
        folder = reference.load_folder(kind)
        folder.mkdir(parents=True)
        (folder / load_run.POINTS).write_text(json.dumps({"rate": rate}) + "\n")
    assert client.get("/load").json == {"points": [{"rate": 1}], "earlier": [{"rate": 0}]}
    assert show.KINDS == ("monolith", "microservices")


def span(request: str, number: int, service: str, name: str, parent: int | None = None) -> Span:
    ids = (f"{request:0>32}", f"{request}{number:0>15}", f"{request}{parent:0>15}" if parent else None)
    about = {REQUEST_ID: request, **({PATH: "/api/orders"} if service == "gateway" else {})}
    return Span(*ids, service, name, "server", number, 9_000_000, False, about)


def test_a_request_is_followed_in_both_shops_beside_each_other(client):
    assert "No trace yet" in client.get("/traces").text
    assert client.get("/trace?id=a").status_code == 409
    store = TraceStore(reference.home() / FILE_NAME)
    for request, service in (("a", "monolith"), ("b", "orders"), ("c", "monolith")):
        name = "GET /x/<int:number>" if request == "c" else "POST /api/orders"
        store.add([span(request, 1, "gateway", "POST"), span(request, 2, service, name, 1)])
    store.close()
    shown = client.get("/traces").text
    assert shown.index("POST /api/orders") < shown.index("GET /x/{number}"), "what both have comes first"
    assert shown.count("none yet") == 1
    assert re.findall(r"trace\?(id=\w&amp;id=\w)", shown) == ["id=a&amp;id=b"]
    answer = client.get("/trace?id=a&id=b")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.text.count("Waterfall") == 2
    assert "<script" not in answer.text
    assert client.get("/trace?id=a&id=z").status_code == 409
    assert client.get("/trace").status_code == 409


def test_the_link_to_the_traces_is_there_only_when_they_are_received(client, desk):
    assert "Follow one request" not in client.get("/").text
    desk.traced = True
    assert "Follow one request" in client.get("/").text


@pytest.mark.course
@pytest.mark.processes
def test_both_shops_open_and_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_HOME", raising=False)
    monkeypatch.chdir(tmp_path)  # the command takes no SHOP_* setting from outside
    process = subprocess.Popen([sys.executable, "-m", "exercises", "show", "--shops-only", "--traces"])
    try:
        deadline = time.monotonic() + SECONDS
        while not all((shop := reference.find(kind)) and shop.steered for kind in KINDS):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        shops = [reference.require(kind) for kind in KINDS]
        assert [len(shop.services) for shop in shops] == [1, 8]
        for shop in shops:
            requests.get(f"{shop.url}/api/products", timeout=SECONDS).raise_for_status()
        while not any(len(kind.newest) == 2 for kind in traces.kinds(reference.home())):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait()
    assert [reference.find(kind) for kind in KINDS] == [None, None]
    assert not any(psutil.pid_exists(member.pid) for shop in shops for member in shop.members)

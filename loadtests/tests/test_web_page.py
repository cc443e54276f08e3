"""Locust's own web page with our visitors: a swarm is started, watched and exported as a person does it."""

import csv
import io
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from microservices.launcher.ports import Ports

pytestmark = pytest.mark.processes
STUB = Path(__file__).with_name("stub_shop.py")
LOADTESTS = Path(__file__).parents[1]
LOCUSTFILE, SHAPE = LOADTESTS / "locustfile.py", LOADTESTS / "shape.py"
FROM_ELSEWHERE = re.compile(r"""<(?:script|link|img)[^>]*(?:src|href)=["']?(?:https?:)?//""")
DEADLINE_SECONDS = 30.0


class Page:
    """The page at its address, asked as a browser asks it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # never a proxy between us and the page

    def answers(self) -> bool:
        try:
            return self.session.get(self.url, timeout=10).ok
        except requests.ConnectionError:
            return False

    def get(self, path: str) -> str:
        answer = self.session.get(f"{self.url}{path}", timeout=10)
        assert answer.status_code == 200
        return answer.text

    def post(self, path: str, **form: Any) -> dict[str, Any]:
        return dict(self.session.post(f"{self.url}{path}", data=form, timeout=10).json())

    def stats(self) -> dict[str, Any]:
        return dict(self.session.get(f"{self.url}/stats/requests", timeout=10).json())

    def wait_for(self, happened: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Look at the statistics until they show it; returns them."""
        until = time.monotonic() + DEADLINE_SECONDS
        while not happened(stats := self.stats()):
            assert time.monotonic() < until, stats
            time.sleep(0.1)
        return stats


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes = []

    def start(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def page(started: Callable[..., subprocess.Popen[str]]) -> Iterator[Page]:
    shop = started(str(STUB))
    assert shop.stdout is not None
    host = shop.stdout.readline().strip()
    ports = Ports(1)
    port = str(ports.numbers[0])
    files = f"{LOCUSTFILE},{SHAPE}"
    at = ["--web-host", "127.0.0.1", "--web-port", port]
    locust = started("-m", "locust", "-f", files, "--host", host, *at, "--class-picker")
    there = Page(f"http://127.0.0.1:{port}")
    until = time.monotonic() + DEADLINE_SECONDS
    while not there.answers():
        assert locust.poll() is None, locust.communicate()[0]
        assert time.monotonic() < until, "the page did not open"
        time.sleep(0.05)
    yield there
    ports.release()


def names(stats: dict[str, Any]) -> set[str]:
    return {entry["name"] for entry in stats["stats"]}


def test_the_page_needs_nothing_from_elsewhere_and_offers_the_visitors_and_the_shape(page: Page) -> None:
    html = page.get("/")
    assert not FROM_ELSEWHERE.search(html)
    scripts = re.findall(r'src="\./(assets/[^"]+)"', html)
    assert scripts
    assert all(page.get(f"/{script}") for script in scripts)
    for offered in ("Buyer", "RecommendationWidget", "Searcher", "WindowShopper", "Spike"):
        assert f'"{offered}"' in html


def test_a_chosen_mix_is_started_watched_stopped_and_exported(page: Page) -> None:
    chosen = ["Buyer", "Searcher"]
    begun = page.post("/swarm", user_count=8, spawn_rate=8, user_classes=chosen)
    assert begun["success"] is True
    assert begun["user_classes"] == chosen
    running = page.wait_for(lambda stats: {"/api/orders", "/search?q={words}"} <= names(stats))
    assert running["state"] == "running"
    assert running["user_count"] == 8
    assert "/" not in names(running)  # window shoppers were not chosen

    assert page.post("/stop")["success"] is True
    stopped = page.wait_for(lambda stats: stats["state"] == "stopped")
    counted = {(row["method"], row["name"]): row["num_requests"] for row in stopped["stats"][:-1]}
    rows = list(csv.DictReader(io.StringIO(page.get("/stats/requests/csv"))))
    assert {(row["Type"], row["Name"]): int(row["Request Count"]) for row in rows[:-1]} == counted
    assert rows[-1]["Name"] == "Aggregated"
    report = page.get("/stats/report?download=1")
    assert not FROM_ELSEWHERE.search(report)
    assert "/api/orders" in report
    assert "Locust" in report


def test_the_shape_decides_how_many_come(page: Page) -> None:
    begun = page.post("/swarm", user_count=1, spawn_rate=1, user_classes=["Searcher"], shape_class="Spike")
    assert begun["message"] == "Swarming started using shape class 'Spike'"
    page.wait_for(lambda stats: stats["user_count"] == 10)

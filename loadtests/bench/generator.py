"""How good the load generator is: 2,000 visits a second, each started when it was due.

Measured for one process, and for two beside a process that takes a core.

The shop is a server that answers each route at once with fixed bytes, because a real shop would be the bottleneck here.
Arrivals are Poisson, which is harder than evenly spaced ones: in a burst, visits wait for each other.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.analysis.raw import read_requests
from loadtests.analysis.records import MAX_GENERATOR_CORES
from loadtests.analysis.summaries import percentile
from loadtests.bench.bars import Check
from loadtests.experiments.bar import Bar
from microservices.launcher.gateway import caddy

RATE = 2000
VISITORS = 200
PERSONA = "recommendation-widget"
ROUNDS = 3
READY_SECONDS = 20.0
MAX_LATE_MS = 5.0
MIN_STARTED = 0.99
ITEMS = [{"sku": f"P{n}", "name": f"Green kettle {n}"} for n in range(100)]
ANSWERS: Mapping[str, Any] = {
    "/api/categories": {"items": [{"slug": "tea", "name": "Tea", "products": 100}]},
    "/api/products": {"items": ITEMS, "page": 1, "page_size": 100, "total": 100},
    "/api/sessions": {"token": "static"},
    "/*": {"sku": "P1", "items": ITEMS[:5]},
}


@dataclass(frozen=True)
class GeneratorRun:
    """One run of the generator: visits started per second, how late they started, and the cores that it used."""

    started_per_second: float
    late_p50_ms: float
    late_p99_ms: float
    cores: float


def checks(folder: Path, seconds: float) -> Iterator[Check]:
    """The medians of ROUNDS runs of so many seconds, against their bars."""
    with static_shop(folder) as url:
        rounds = [run_generator(url, folder / str(number), seconds) for number in range(ROUNDS)]
        with _busy_process():
            beside = [
                run_generator(url, folder / f"beside-{number}", seconds, processes=2)
                for number in range(ROUNDS)
            ]
    started = median(each.started_per_second for each in rounds)
    late = [median(each.late_p50_ms for each in rounds), median(each.late_p99_ms for each in rounds)]
    cores = median(each.cores for each in rounds)
    what = f"generator asked for {RATE:,} visits/s"
    yield Check(f"{what}: started", started, "/s", Bar(at_least=MIN_STARTED * RATE))
    yield Check(f"{what}: late, p50", late[0], "ms", Bar(at_most=MAX_LATE_MS))
    yield Check(f"{what}: late, p99", late[1], "ms", Bar(at_most=MAX_LATE_MS))
    yield Check(f"{what}: CPU", cores, "cores", Bar(at_most=MAX_GENERATOR_CORES))
    late_beside = median(each.late_p99_ms for each in beside)
    yield Check(
        f"{what}, two processes beside a busy one: late, p99", late_beside, "ms", Bar(at_most=MAX_LATE_MS)
    )


@contextmanager
def _busy_process() -> Iterator[None]:
    """Keep one core busy while the block runs."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            yield
        finally:
            busy.kill()


def run_generator(url: str, folder: Path, seconds: float, processes: int = 1) -> GeneratorRun:
    """Run the generator against `url` for so many seconds, and read from its log when it started each visit."""
    folder.mkdir()
    spec = {
        "seed": "bench",
        "host": url,
        "out": str(folder / "requests.csv.gz"),
        "phases": [{"name": "static", "seconds": seconds, "rates": {PERSONA: RATE}}],
        "users": {PERSONA: VISITORS},
        "drain_seconds": 2,
        "processes": processes,
    }
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    command = [sys.executable, "-m", "loadtests.load.generate", str(folder / "spec.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    requests = read_requests(folder / "requests.csv.gz")
    late = [(each.start - each.intended) * 1000 for each in requests if each.start is not None and each.ok]
    # The number of planned visits is random; the share of them that was started is not.
    share = len(late) / len(requests)
    return GeneratorRun(
        share * RATE, percentile(late, 0.5), percentile(late, 0.99), json.loads(done.stdout)["cpu_cores"]
    )


@contextmanager
def static_shop(folder: Path) -> Iterator[str]:
    """Run a server with one fixed answer for each route; yields its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "static.json"
    config.write_text(json.dumps(_config(port)), encoding="utf-8")
    command = [str(caddy()), "run", "--config", str(config)]
    with (folder / "static.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ours
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _config(port: int) -> dict[str, Any]:
    routes = [
        {
            "match": [{"path": [path]}],
            "terminal": True,
            "handle": [
                {
                    "handler": "static_response",
                    "headers": {"Content-Type": ["application/json"]},
                    "body": json.dumps(body),
                }
            ],
        }
        for path, body in ANSWERS.items()
    ]
    server = {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "routes": routes}
    admin = {"disabled": True, "config": {"persist": False}}
    return {"admin": admin, "apps": {"http": {"servers": {"static": server}}}}


def _wait_for(url: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/categories", timeout=1) as answer:  # noqa: S310 - loopback
                answer.read()
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return

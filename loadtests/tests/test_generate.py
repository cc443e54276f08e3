"""The generator runs as in a trial: as a process that sends requests to a stub shop over loopback."""

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.analysis.raw import read_requests

pytestmark = pytest.mark.processes
STUB = Path(__file__).with_name("stub_shop.py")
LOCUSTFILE = Path(__file__).parents[1] / "locustfile.py"


@pytest.fixture
def shop() -> Iterator[Callable[[float], str]]:
    started = []

    def start(delay: float = 0.0) -> str:
        command = [sys.executable, str(STUB), str(delay)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def generate(tmp_path: Path, spec: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    out = tmp_path / "requests.csv.gz"
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"seed": "1:0", "out": str(out), **spec}))
    command = [sys.executable, "-m", "loadtests.load.generate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    with gzip.open(out, "rt", newline="") as rows:
        return json.loads(done.stdout), list(csv.DictReader(rows))


def test_every_persona_visits_on_schedule_and_every_request_is_a_row(
    shop: Callable[..., str], tmp_path: Path
) -> None:
    rates = {"window-shopper": 10, "searcher": 10, "buyer": 20, "recommendation-widget": 20}
    phases = [{"name": "quiet", "seconds": 1.0, "rates": rates}]
    users = dict.fromkeys(rates, 20)  # enough that a machine with other work starts every visit
    summary, rows = generate(tmp_path, {"host": shop(), "phases": phases, "users": users})
    assert summary["trust"] == "ok"
    assert summary["not_started"] == summary["errors"] == 0
    assert {row["persona"] for row in rows} == set(rates)
    routes = {row["route"] for row in rows}
    assert "POST /api/orders (out-of-stock)" in routes
    assert "GET /api/products/{sku}/recommendations" in routes
    assert {route for route in routes if route.startswith("VISIT ")} == {
        *("VISIT buy", "VISIT buy (out-of-stock)")
    }
    assert all(float(row["intended"]) <= float(row["start"]) + 1e-3 for row in rows)


def test_an_expired_token_is_renewed(shop: Callable[..., str], tmp_path: Path) -> None:
    phases = [{"name": "quiet", "seconds": 0.5, "rates": {"buyer": 20}}]
    summary, rows = generate(tmp_path, {"host": shop(), "phases": phases, "users": {"buyer": 2}})
    renewed = [row["route"] for row in rows if row["status"] == "401"]
    assert len(renewed) == 1
    assert renewed[0].endswith("(not-authenticated)")
    assert summary["errors"] == 0


def test_the_auditor_sees_the_effects_of_an_order_behind_the_bestsellers(
    shop: Callable[..., str], tmp_path: Path
) -> None:
    phases = [{"name": "quiet", "seconds": 0.5, "rates": {"auditor": 10}, "shape": "fixed"}]
    spec = {"host": shop(), "phases": phases, "users": {"auditor": 4}, "drain_seconds": 9.0}
    _, rows = generate(tmp_path, spec)
    waits = [row for row in rows if row["route"].startswith("WAIT ")]
    seen = {"WAIT cart is empty", "WAIT stock has gone down", "WAIT recommended together"}
    assert {row["route"] for row in waits} == seen
    assert all(row["ok"] == "1" for row in waits)


def test_latency_counts_from_the_intended_start_when_the_shop_stalls(
    shop: Callable[..., str], tmp_path: Path
) -> None:
    phases = [{"name": "spike", "seconds": 1.0, "rates": {"recommendation-widget": 20}, "shape": "fixed"}]
    users = {"recommendation-widget": 8}
    spec = {"host": shop(0.2), "phases": phases, "users": users, "drain_seconds": 0.3}
    summary, rows = generate(tmp_path, spec)
    assert summary["not_started"] > 0
    assert len([row for row in rows if "recommendations" in row["route"] and row["status"] != "401"]) == 20
    answered = [float(row["end"]) - float(row["intended"]) for row in rows if row["ok"] == "1"]
    assert max(answered) > 0.6
    unfinished = [row for row in rows if row["start"] and row["ok"] == "0"]
    assert unfinished
    assert all(float(row["end"]) >= 1.3 for row in unfinished)


def test_a_visit_as_a_whole_lasts_from_its_intended_start_to_its_last_response(
    shop: Callable[..., str], tmp_path: Path
) -> None:
    phases = [{"name": "spike", "seconds": 1.0, "rates": {"buyer": 20}, "shape": "fixed"}]
    spec = {"host": shop(0.2), "phases": phases, "users": {"buyer": 2}, "drain_seconds": 0.3}
    _, rows = generate(tmp_path, spec)
    visits = {row["intended"]: row for row in rows if row["route"].startswith("VISIT buy")}
    puts = [row for row in rows if row["route"] == "PUT /api/cart/items/{sku}"]
    ended = [row for row in visits.values() if row["ok"] == "1"]
    assert ended
    assert all(float(row["end"]) - float(row["intended"]) >= 0.2 for row in ended)
    never = [visits[row["intended"]] for row in puts if not row["start"]]
    assert never
    assert all((row["route"], row["start"], row["ok"]) == ("VISIT buy", "", "0") for row in never)


def test_what_is_under_way_at_the_end_of_the_drain_is_cut_off_and_did_not_fail(
    shop: Callable[..., str], tmp_path: Path
) -> None:
    phases = [{"name": "spike", "seconds": 0.5, "rates": {"buyer": 20}, "shape": "fixed"}]
    spec = {"host": shop(3.0), "phases": phases, "users": {"buyer": 4}, "drain_seconds": 0.3}
    _, rows = generate(tmp_path, spec)
    cut = [row for row in rows if row["cut"] == "1"]
    assert {row["route"] for row in cut} >= {"VISIT buy"}
    assert len(cut) == 2 * len([row for row in cut if row["route"] == "VISIT buy"])
    assert all(row["ok"] == "0" and 0.3 <= float(row["end"]) - float(row["intended"]) < 1.5 for row in cut)
    requests = read_requests(tmp_path / "requests.csv.gz")
    assert sum(each.cut for each in requests) == len(cut)


def test_a_missing_shop_is_reported_in_one_sentence(tmp_path: Path) -> None:
    spec = {
        "host": "http://127.0.0.1:9",
        "phases": [{"name": "quiet", "seconds": 1, "rates": {"searcher": 1}}],
        "users": {"searcher": 1},
    }
    with pytest.raises(subprocess.CalledProcessError) as caught:
        generate(tmp_path, spec)
    assert caught.value.stderr.splitlines()[-1].startswith("No shop answers at http://127.0.0.1:9/")
    assert "Traceback" not in caught.value.stderr


@pytest.mark.timed
def test_the_locustfile_works_with_locust_itself(shop: Callable[..., str]) -> None:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", shop()]
    options = ["--headless", "--users", "8", "--spawn-rate", "8", "--run-time", "2s", "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert {entry["name"] for entry in json.loads(done.stdout)} >= {"/", "/api/sessions"}


def test_visits_follow_the_curve_of_their_phase(shop: Callable[..., str], tmp_path: Path) -> None:
    curve = [[0.0, 0.0], [0.5, 0.0], [0.5, 2.0], [1.0, 2.0]]
    phases = [{"name": "step", "seconds": 1.0, "rates": {"searcher": 10}, "shape": "fixed", "curve": curve}]
    _, rows = generate(tmp_path, {"host": shop(), "phases": phases, "users": {"searcher": 4}})
    firsts = {row["intended"] for row in rows if row["intended"] <= row["start"]}
    assert min(float(each) for each in firsts) >= 0.5
    assert len(rows) >= 10


def test_two_processes_make_the_visits_of_one_at_the_same_times(
    shop: Callable[..., str], tmp_path: Path
) -> None:
    rates = {"searcher": 20, "buyer": 20, "recommendation-widget": 40}
    phases = [{"name": "quiet", "seconds": 1.0, "rates": rates}]
    spec = {"host": shop(), "phases": phases, "users": {**dict.fromkeys(rates, 40), "searcher": 1}}
    visits = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        summary, rows = generate(folder, {**spec, "processes": processes})
        assert summary["cpu_cores"] > 0
        # The stub lets tokens expire, so how often customers sign in depends on how they are divided.
        begun: dict[tuple[str, str], str] = {}
        for row in rows:
            begun.setdefault((row["persona"], row["intended"]), row["route"])
        visits.append({key for key, route in begun.items() if key[0] != "searcher" and _is_first(route)})
    assert len(visits[0]) > 30
    assert visits[0] == visits[1]


def _is_first(route: str) -> bool:
    """Whether a visit may begin with it."""
    return "recommendations" in route or route.startswith("VISIT ")


def test_a_missing_shop_is_reported_by_workers_too(tmp_path: Path) -> None:
    spec = {
        "host": "http://127.0.0.1:9",
        "phases": [{"name": "quiet", "seconds": 1, "rates": {"searcher": 1}}],
        "users": {"searcher": 1},
        "processes": 2,
    }
    with pytest.raises(subprocess.CalledProcessError) as caught:
        generate(tmp_path, spec)
    assert caught.value.stderr.splitlines()[-1].startswith("No shop answers at http://127.0.0.1:9/")
    assert "Traceback" not in caught.value.stderr

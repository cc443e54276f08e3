"""The lab's instruments can be measured. Whether they meet their bars is for `make bench`, on a quiet machine."""

import json
from pathlib import Path

import psutil
import pytest

from loadtests.analysis.raw import read_requests, read_trials
from loadtests.bench import generator, million, slicing
from loadtests.bench.bars import Check
from loadtests.bench.cli import as_json
from loadtests.experiments.bar import Bar
from loadtests.rig import slices

pytestmark = pytest.mark.processes


def test_the_generator_runs_against_the_static_shop_and_leaves_no_process(tmp_path: Path) -> None:
    with generator.static_shop(tmp_path) as url:
        run = generator.run_generator(url, tmp_path / "1", 0.5)
    assert run.cores > 0
    assert 0 <= run.late_p50_ms <= run.late_p99_ms
    assert 0 < run.started_per_second <= generator.RATE
    requests = read_requests(tmp_path / "1" / "requests.csv.gz")
    assert {each.route for each in requests} == {"GET /api/products/{sku}/recommendations"}
    assert len(requests) == pytest.approx(generator.RATE / 2, rel=0.2)
    ours = [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(each.info["cmdline"])]
    assert ours == []


def test_the_memory_of_the_analysis_is_not_that_of_the_process_that_started_it(tmp_path: Path) -> None:
    ballast = b"x" * (400 << 20)
    _, memory = million.checks(tmp_path, rows=3000)
    assert memory.value < len(ballast) / (1 << 20)


def test_a_large_run_is_written_and_analysed_in_a_process_of_its_own(
    tmp_path: Path,
) -> None:
    seconds, memory = million.checks(tmp_path, rows=3000)
    assert seconds.met
    assert memory.met
    assert seconds.value > 0
    assert memory.value > 20
    (raw,) = read_trials(tmp_path)
    assert len(raw.requests) == 3000
    assert sum(each.start is None for each in raw.requests) == 30
    assert sum(each.start is not None and not each.ok for each in raw.requests) == 30


def test_slices_of_busy_processes_are_measured_with_their_cost() -> None:
    quality = slicing.measure("governor", 2, 0.5)
    assert quality.error_percent < 100
    assert quality.cost_percent > 0
    assert not [each for each in psutil.Process().children() if slicing.BUSY in each.cmdline()]


def test_a_backend_that_does_not_work_leaves_no_busy_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(backend: str) -> slices.Slices:
        raise slices.SliceError(backend)

    monkeypatch.setattr(slices, "open_backend", refuse)
    assert list(slicing.checks(0.1)) == []
    assert not [each for each in psutil.Process().children() if slicing.BUSY in each.cmdline()]


def test_bars_are_written_as_json() -> None:
    found = as_json([], [Check("late, p99", 43.384, "ms", Bar(at_most=5))])
    assert found["bars"] == [
        {"what": "late, p99", "measured": 43.384, "unit": "ms", "bar": "≤ 5", "met": False}
    ]
    assert json.dumps(found)

"""One real trial of the monolith, as short as it can be: processes, slices, generator, samples, files."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import read_trial
from loadtests.experiments.experiment import parse
from loadtests.planning.plan import plan
from loadtests.rig import slices
from loadtests.rig.targets import target
from loadtests.rig.trial import Rig, run_trials

pytestmark = pytest.mark.processes

TEXT = """
name = "short"
question = "Does a trial leave behind what it should?"
expect = "Yes."
because = "It is short."
seed = 1
repeats = 1
slice_cores = 0.5
claims = []

[limits]
timeout_seconds = 5
drain_seconds = 3
users = { searcher = 4, buyer = 2, recommendation-widget = 4 }

[[systems]]
id = "monolith"
label = "monolith × 2"
system = "monolith"
replicas = { monolith = 2 }

[[phases]]
name = "warm-up"
seconds = 0.5
slice_cores = 1.0
record = false
rates = { searcher = 10, buyer = 5, recommendation-widget = 10 }

[[phases]]
name = "quiet"
seconds = 1.0
rates = { searcher = 10, buyer = 5, recommendation-widget = 10 }

[demo]
repeats = 1
seconds = {}
"""  # noqa: RUF001 - the label is printed


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A small monolith with its data, and the slices that work on this machine."""
    sizes = {"PRODUCTS": "200", "CUSTOMERS": "300", "ORDERS": "500"}
    for name, value in {"HOME": str(tmp_path), **sizes}.items():
        monkeypatch.setenv(f"SHOP_{name}", value)
    slicer = slices.detect()
    shop = target("monolith", None)
    shop.seed(tmp_path / "lab", [None])
    yield Rig(tmp_path / "lab", {"monolith": shop}, slicer)
    slicer.close()
    assert [
        each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(each.info["cmdline"])
    ] == []


def test_a_trial_leaves_rows_samples_and_no_process(tmp_path: Path, rig: Rig) -> None:
    (trial,) = plan([parse(TEXT, "short.toml")], share=False)
    run_trials([(trial, tmp_path / "trial")], rig)
    raw = read_trial(tmp_path / "trial")
    (result,) = measure(raw)
    assert result.phase == "quiet"
    assert {"GET /api/products/{sku}/recommendations", "POST /api/orders"} <= set(result.metrics)
    assert result.metrics["all"]["errors"] == 0
    assert raw.replicas == ["monolith-1", "monolith-2"]
    assert all(each["cpu_cores"] > 0 for each in result.processes)
    if rig.slices.backend.startswith("cgroup"):
        assert all("throttled_seconds" in each for each in result.processes if each["slice"])
    assert result.counts("in_time_share", "VISIT buy")
    assert result.uss_bytes > 50_000_000
    assert (result.core_speed or 0.0) > 0


def test_two_shops_run_at_once_and_each_gets_load_in_its_own_turns(tmp_path: Path, rig: Rig) -> None:
    other = (
        '[[systems]]\nid = "alone"\nlabel = "monolith"\nsystem = "monolith"\n\n[[phases]]\nname = "warm-up"'
    )
    turns = '[turns]\nphase = "quiet"\nseconds = 0.5\ngroups = [["monolith", "alone"]]\n\n[limits]'
    text = TEXT.replace('[[phases]]\nname = "warm-up"', other).replace("[limits]", turns)
    trials = plan([parse(text, "short.toml")], share=False)
    run_trials([(trial, tmp_path / trial.id) for trial in trials], rig)
    raws = [read_trial(tmp_path / trial.id) for trial in trials]
    assert raws[0].facts["epoch"] == raws[1].facts["epoch"]
    for raw in raws:
        (result,) = measure(raw)
        assert result.metrics["all"]["errors"] == 0
        own = {index for index, phase in enumerate(raw.phases) if not phase.idle}
        assert {request.phase for request in raw.requests} <= own
        assert all(each["cpu_cores"] > 0 for each in result.processes)


def test_a_monolith_in_two_pools_sells_and_recommends_and_its_pools_share_the_data(
    tmp_path: Path, rig: Rig
) -> None:
    route = 'route = { path = "/api/products/*/recommendations", pool = "hot-pool" }'
    (trial,) = plan([parse(TEXT.replace("replicas = { monolith = 2 }", route), "short.toml")], share=False)
    run_trials([(trial, tmp_path / "trial")], rig)
    raw = read_trial(tmp_path / "trial")
    (result,) = measure(raw)
    assert result.metrics["all"]["errors"] == 0
    assert result.counts("in_time_share", "VISIT buy")
    assert raw.replicas == ["monolith-1", "hot-pool-1"]
    assert all(each["cpu_cores"] > 0 for each in result.processes)
    assert result.of_shop["databases"] == 1

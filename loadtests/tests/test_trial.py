"""One real trial of the monolith, as short as it can be: processes, slices, generator, samples, files."""

from pathlib import Path

import psutil
import pytest

from loadtests import slices
from loadtests.experiment import parse
from loadtests.measure import measure
from loadtests.plan import plan
from loadtests.raw import read_trial
from loadtests.targets import target
from loadtests.trial import Bench, run_trial

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


def test_a_trial_leaves_rows_samples_and_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOME": str(tmp_path),
        "PRODUCTS": "200",
        "CUSTOMERS": "300",
        "ORDERS": "500",
    }.items():
        monkeypatch.setenv(f"SHOP_{name}", value)
    (trial,) = plan([parse(TEXT, "short.toml")], share=False)
    slicer = slices.detect()
    shop = target("monolith", None)
    shop.seed(tmp_path / "lab", [None])
    bench = Bench(tmp_path / "lab", {"monolith": shop}, slicer)
    try:
        run_trial(trial, tmp_path / "trial", bench)
    finally:
        slicer.close()
    raw = read_trial(tmp_path / "trial")
    (result,) = measure(raw)
    assert result.phase == "quiet"
    assert {"GET /api/products/{sku}/recommendations", "POST /api/orders"} <= set(result.metrics)
    assert result.metrics["all"]["errors"] == 0
    assert raw.replicas == ["monolith-1", "monolith-2"]
    assert all(each["cpu_cores"] > 0 for each in result.processes)
    assert result.uss_bytes > 50_000_000
    assert (result.core_speed or 0.0) > 0
    ours = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in str(process.info["cmdline"])
    ]
    assert ours == []

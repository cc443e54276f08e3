"""What a process loads when it starts: heavy libraries only where they are used."""

import json
import subprocess
import sys

import pytest


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a new interpreter has loaded after importing the module."""
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_generator_loads_no_library_of_the_analysis() -> None:
    assert loaded_by("loadtests.load.generate").isdisjoint({"numpy", "pydantic", "scipy", "matplotlib"})


def test_comparing_two_runs_loads_no_charts() -> None:
    assert "matplotlib" not in loaded_by("loadtests.report.compare")


@pytest.mark.parametrize(
    ("module", "library"),
    [("loadtests.analysis.results", "numpy"), ("loadtests.report.charts", "matplotlib")],
)
def test_a_library_that_is_loaded_is_seen(module: str, library: str) -> None:
    assert library in loaded_by(module)

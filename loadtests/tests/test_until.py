"""Repeats until the claims are precise enough; simulated trials take the place of real ones."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadtests import cli
from loadtests.analysis.precision import half_width, repeats_needed
from loadtests.planning.trials import Trial
from loadtests.report.doubts import doubts
from loadtests.running import runner, until
from loadtests.running.folder import RunError, read_run
from loadtests.running.options import Options, Step
from loadtests.running.until import Goal, forecast
from loadtests.tests.made_up import MACHINE, toy
from loadtests.tests.test_runner import lab, write_trial  # noqa: F401 - a fixture

FAR = 36_000.0


def options(goal: Goal) -> Options:
    return Options("full", "loadtests run toy", backend="none", wait_share=0.0, until=goal)


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The half widths that the looks after each repeat find, from the first on."""
    found = [0.3, 0.2, 0.08]

    def measured(_machine: Any, experiments: Any, _measured: Any) -> dict[str, Any]:
        width = found[min(experiments[0].repeats - 3, len(found) - 1)]
        entry = {"claim": "Latency", "primary": True, "low": 1.0, "high": (1 + width) ** 2}
        return {"experiments": [{"verdicts": [entry]}]}

    monkeypatch.setattr(runner, "results_of", measured)
    return found


@pytest.mark.usefixtures("widths")
def test_a_run_repeats_until_it_is_precise_and_begins_with_its_own_repeats(
    lab: Callable[..., Any],  # noqa: F811
) -> None:
    folder, ran = lab(lambda _trial: [], options(Goal(0.1, FAR)))
    assert [trial.repeat for trial in ran] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len({trial.order for trial in ran}) == 10
    notes = json.loads((folder / "run.json").read_text())
    assert notes["repeats"] == {"toy": 5}
    assert notes["until_ended"] == '"Latency" is known to ±8% after 5 repeats: ±10% is reached'
    done = read_run(folder)
    assert done.experiments[0].repeats == 5
    said = " ".join(doubts(toy(), done.results["experiments"][0], done.notes))
    assert "until its intervals were narrow enough" in said


@pytest.mark.usefixtures("widths")
def test_a_run_that_is_precise_at_once_still_makes_its_own_repeats(
    lab: Callable[..., Any],  # noqa: F811
) -> None:
    _, ran = lab(lambda _trial: [], options(Goal(0.4, FAR)))
    assert len(ran) == 6


@pytest.mark.usefixtures("widths")
def test_the_time_ends_a_run_and_the_report_says_so(lab: Callable[..., Any]) -> None:  # noqa: F811
    folder, ran = lab(lambda _trial: [], options(Goal(0.1, 1.0)))
    assert len(ran) == 6
    assert json.loads((folder / "run.json").read_text())["until_ended"].endswith("; the time is up")


@pytest.mark.usefixtures("widths")
def test_an_interrupted_run_goes_on_until_it_is_precise(
    lab: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(trial: Trial) -> list[str]:
        if trial.order == 8:
            raise KeyboardInterrupt
        return []

    folder, _ = lab(interrupted, options(Goal(0.1, FAR)))
    again: list[Trial] = []

    def run_trials(trials: Sequence[tuple[Trial, Path]], _rig: Any) -> None:
        for trial, place in trials:
            again.append(trial)
            write_trial(trial, place, [])

    monkeypatch.setattr(runner, "run_trials", run_trials)
    steps: list[Step] = []
    runner.resume(folder, steps.append)
    assert [trial.repeat for trial in again] == [4, 5, 5]
    with pytest.raises(RunError, match="Nothing is left to do"):
        runner.resume(folder, steps.append)


def test_a_width_is_a_factor_and_of_a_share_points() -> None:
    assert half_width({"low": 1 / 1.1, "high": 1.1}) == pytest.approx(0.1)
    assert half_width({"low": 0.85, "high": 0.95, "unit": "share"}) == pytest.approx(0.05)
    assert half_width({"low": 1.0, "high": None}) == math.inf


def test_half_the_width_takes_about_four_times_the_repeats() -> None:
    assert repeats_needed(0.1, 20, 0.05) in range(70, 82)
    assert repeats_needed(0.1, 20, 0.2) in range(5, 9)
    assert repeats_needed(0.1, 20, 0.01) is None
    assert repeats_needed(math.inf, 20, 0.1) is None


def test_before_it_starts_a_run_says_how_long_it_will_take(tmp_path: Path) -> None:
    goal = Goal(0.1, 3600.0)
    alone = forecast(tmp_path, toy(), "full", MACHINE, goal)
    assert alone.startswith("No earlier run here")
    assert alone.endswith("After 60 min the run ends in any case.")
    entry = {"claim": "Latency", "primary": True, "low": 0.8, "high": 1.25}
    (tmp_path / "one").mkdir()
    notes = {"form": "full", "repeats": {"toy": 6}, "machine": MACHINE}
    (tmp_path / "one" / "run.json").write_text(json.dumps(notes))
    results = {"experiments": [{"name": "toy", "verdicts": [entry]}]}
    (tmp_path / "one" / "results.json").write_text(json.dumps(results))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "results.json").write_text("{}")
    said = forecast(tmp_path, toy(), "full", MACHINE, goal)
    count = repeats_needed(0.25, 6, 0.1)
    assert said.startswith('In the run one, "Latency" is known to ±25% after 6 repeats.')
    assert f"±10% takes about {count} repeats, {until.span_of_repeats(toy(), count or 0)}." in said
    other = {**MACHINE, "cores": 64}
    assert forecast(tmp_path, toy(), "full", other, goal) == alone


@pytest.mark.parametrize(
    "wrong", [["tax", "--until", "wide"], ["tax", "spike", "--until", "10%"], ["tax", "--until", "0"]]
)
def test_a_goal_that_makes_no_sense_is_refused(wrong: list[str]) -> None:
    answer = CliRunner().invoke(cli.cli, ["run", *wrong])
    assert answer.exit_code == 2
    assert "--until" in answer.output

"""The runner's decisions; simulated trials take the place of real ones."""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadtests import cli, console
from loadtests.analysis.raw import read_trials
from loadtests.analysis.records import COLUMNS
from loadtests.experiments.experiment import Experiment, load, names
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.report.doubts import doubts
from loadtests.report.ledger import ledger
from loadtests.report.publish import publish
from loadtests.rig import slices
from loadtests.rig.generator import TrialError
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.trial import Rig
from loadtests.running import runner
from loadtests.running.calm import WaitBudget
from loadtests.running.folder import RunError, read_run, read_texts
from loadtests.running.gate import GateError
from loadtests.running.options import Options, Step
from loadtests.running.runner import ActiveRun
from loadtests.running.trial_queue import TrialQueue
from loadtests.tests.made_up import TEXT, steady, toy
from loadtests.tests.test_searches import searching
from loadtests.tests.test_turns import in_turns

OPTIONS = Options("full", "loadtests run toy", backend="none", wait_share=0.0)


STOLEN = ["the hypervisor took the CPU"]


def write_trial(trial: Trial, folder: Path, disturbed: list[str]) -> None:
    """What a real trial leaves behind: ten quick answers per second. `disturbed`: the hypervisor took half a core."""
    folder.mkdir(parents=True)
    facts = {
        **asdict(trial),
        "died": [],
        "cores": 2,
        "slice_backend": "none",
        "epoch": 0.0,
        "ready_seconds": 1.0,
    }
    (folder / "trial.json").write_text(json.dumps(facts))
    with gzip.open(folder / "requests.csv.gz", "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        begin = 0.0
        for index, phase in enumerate(trial.phases):
            for n in range(0 if phase.idle else int(phase.seconds * 10)):
                at = begin + n / 10
                rows.writerow((at, at, at + 0.01, index, "searcher", "GET /search", 200, 1, 100, 0))
            begin += phase.seconds
    with gzip.open(folder / "processes.csv.gz", "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("at", "name", "cpu_seconds", "uss_bytes"))
        for name in ("monolith-1", "gateway", "generator", "(machine busy)", "(machine stolen)"):
            usage = steady((0.5 if disturbed else 0.0) if "stolen" in name else 0.1)
            rows.writerows(zip(usage.at, [name] * 3, usage.cpu, usage.uss, strict=True))


def all_valid(trials: Sequence[tuple[Trial, Path]], _rig: Rig) -> None:
    for trial, folder in trials:
        write_trial(trial, folder, [])


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Path, list[Trial]]]:
    """Runs the toy experiment, and returns its folder and trials.

    `happens(trial)` replaces a trial and returns what disturbed it.
    """

    def make(
        happens: Callable[[Trial], list[str]],
        options: Options = OPTIONS,
        experiment: Experiment | None = None,
    ) -> tuple[Path, list[Trial]]:
        ran: list[Trial] = []

        def run_trials(trials: Sequence[tuple[Trial, Path]], _rig: Rig) -> None:
            for trial, folder in trials:
                ran.append(trial)
                write_trial(trial, folder, happens(trial))

        monkeypatch.setattr(runner, "run_trials", run_trials)
        monkeypatch.setattr(ManagedTarget, "seed", lambda target, home, sizes: None)
        monkeypatch.setattr(
            runner,
            "same_work",
            lambda rig, requests, seed: {"asked": requests, "differences": 0, "before": None},
        )
        monkeypatch.setenv("SHOP_HOME", str(tmp_path / "home"))
        folder = tmp_path / "runs" / "one"
        runner.run([experiment or toy()], folder, options, lambda _step: None)
        return folder, ran

    return make


def test_every_planned_trial_is_run_once_when_all_are_valid(lab: Callable[..., Any]) -> None:
    folder, ran = lab(lambda _trial: [])
    assert [trial.order for trial in ran] == [1, 2, 3, 4, 5, 6]
    notes = json.loads((folder / "run.json").read_text())
    assert notes["gate"] == {"asked": 200, "differences": 0, "before": None}
    assert not notes["stopped_early"]


def test_a_trial_in_which_the_shop_failed_is_not_repeated(
    lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_trial

    def failing(trial: Trial, folder: Path, disturbed: list[str]) -> None:
        written(trial, folder, disturbed)
        facts = json.loads((folder / "trial.json").read_text())
        (folder / "trial.json").write_text(json.dumps({**facts, "died": ["monolith-1: SIGKILL"]}))

    monkeypatch.setitem(globals(), "write_trial", failing)
    folder, ran = lab(lambda _trial: [])
    assert len(ran) == 6
    assert all(trial["valid"] for trial in read_run(folder).results["experiments"][0]["trials"])


def test_a_void_trial_is_repeated_twice_at_the_end_and_then_given_up(lab: Callable[..., Any]) -> None:
    def second_dies(trial: Trial) -> list[str]:
        return STOLEN if (trial.system, trial.repeat) == ("monolith", 2) else []

    folder, ran = lab(second_dies)
    assert len(ran) == 8
    assert [(trial.repeat, trial.attempt) for trial in ran[6:]] == [(2, 2), (2, 3)]
    assert len(list((folder / "trials").iterdir())) == 8


def test_a_trial_that_succeeds_at_the_second_attempt_counts(lab: Callable[..., Any]) -> None:
    folder, ran = lab(lambda trial: STOLEN if trial.order == 1 else [])
    assert len(ran) == 7
    trials = read_run(folder).results["experiments"][0]["trials"]
    assert sum(each["valid"] for each in trials) == 6


def test_shops_that_take_turns_run_at_once_and_again_together_when_one_is_void(
    lab: Callable[..., Any],
) -> None:
    void = {("two", 2, 1)}  # id, repeat, attempt
    at_once: list[int] = []

    def happens(trial: Trial) -> list[str]:
        at_once.append(trial.seat)
        return STOLEN if (trial.id, trial.repeat, trial.attempt) in void else []

    _, ran = lab(happens, experiment=in_turns())
    assert at_once == [0, 1] * 4
    assert {(trial.id, trial.repeat, trial.attempt) for trial in ran[6:]} == {("one", 2, 2), ("two", 2, 2)}
    assert [trial.order for trial in ran] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_group_that_was_cut_off_is_run_again(
    lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ran = lab(interrupted_in(5), experiment=in_turns())
    again: list[list[str]] = []

    def run_trials(trials: Sequence[tuple[Trial, Path]], _rig: Rig) -> None:
        again.append([trial.name for trial, _ in trials])
        all_valid(trials, _rig)

    monkeypatch.setattr(runner, "run_trials", run_trials)
    monkeypatch.setattr(runner, "read_texts", lambda _folder: (notes_of(folder), (in_turns(),)))
    runner.resume(folder, lambda _step: None)
    assert [sorted(each) for each in again] == [["one-r3", "two-r3"], ["one-r1", "two-r1"]]
    assert len(ran) == 5


def test_no_trial_is_repeated_beyond_the_budget(lab: Callable[..., Any]) -> None:
    _, ran = lab(
        lambda _trial: STOLEN,
        Options("full", "", backend="none", wait_share=0.0, budget_seconds=1),
    )
    assert len(ran) == 6


def test_ctrl_c_keeps_what_is_done(lab: Callable[..., Any]) -> None:
    def interrupted(trial: Trial) -> list[str]:
        if trial.order == 4:
            raise KeyboardInterrupt
        return []

    folder, _ = lab(interrupted)
    done = read_run(folder)
    assert done.notes["stopped_early"]
    assert len(done.results["experiments"][0]["trials"]) == 3


def interrupted_in(order: int) -> Callable[[Trial], list[str]]:
    def happens(trial: Trial) -> list[str]:
        if trial.order == order:
            raise KeyboardInterrupt
        return STOLEN if trial.order == 1 else []

    return happens


def test_an_interrupted_run_goes_on_where_it_stopped(
    lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ran = lab(interrupted_in(4))
    (folder / "trials" / ran[-1].folder).mkdir()  # what the trial that was cut off leaves
    again: list[Trial] = []

    def run_trials(trials: Sequence[tuple[Trial, Path]], _rig: Rig) -> None:
        for trial, place in trials:
            again.append(trial)
            write_trial(trial, place, [])

    monkeypatch.setattr(runner, "run_trials", run_trials)
    steps: list[Step] = []
    runner.resume(folder, steps.append)
    assert [trial.folder for trial in again[:3]] == [trial.folder for trial in plan([toy()], share=False)[3:]]
    assert [(trial.name, trial.attempt, trial.order) for trial in again[3:]] == [(ran[0].name, 2, 7)]
    (place,) = [trial.order for trial in plan([toy()], share=False) if trial.name == ran[0].name]
    assert steps[-1].text.startswith(f"trial {place} of 6: ")
    assert steps[-1].text.endswith("attempt 2")
    done = read_run(folder)
    assert sum(each["valid"] for each in done.results["experiments"][0]["trials"]) == 6
    assert not done.notes["stopped_early"]
    assert "The run was interrupted and resumed once" in " ".join(
        doubts(toy(), done.results["experiments"][0], done.notes)
    )


def small_search() -> Experiment:
    experiment = searching()
    assert experiment.search is not None
    small = experiment.search.model_copy(update={"least": 16.0, "most": 32.0})
    return experiment.model_copy(update={"search": small, "repeats": 1})


def test_a_search_goes_on_until_it_has_ended_and_searches_alternate(lab: Callable[..., Any]) -> None:
    _, ran = lab(lambda _trial: [], experiment=small_search())
    probes = [(trial.id, trial.rate) for trial in ran if trial.probe]
    for system in ("one", "two"):  # every rate is kept: each twice, up to the highest
        rates = [rate for name, rate in probes if name == system]
        assert rates == [rates[0], rates[0], 32.0, 32.0]
    assert {name for name, _ in probes[:2]} == {name for name, _ in probes[2:4]} == {"one", "two"}


def test_an_interrupted_search_goes_on_from_its_last_probe(
    lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ran = lab(interrupted_after_probe(3), experiment=small_search())
    before = {trial.name for trial in ran[:-1]}
    again: list[Trial] = []

    def run_trials(trials: Sequence[tuple[Trial, Path]], _rig: Rig) -> None:
        for trial, place in trials:
            again.append(trial)
            write_trial(trial, place, [])

    monkeypatch.setattr(runner, "run_trials", run_trials)
    monkeypatch.setattr(runner, "read_texts", lambda _folder: (notes_of(folder), (small_search(),)))
    runner.resume(folder, lambda _step: None)
    names = [trial.name for trial in again]
    assert not before & set(names)
    assert {*before, *names} == {
        f"{name}-r1{probe}" for name in ("one", "two") for probe in ("", "-p01", "-p02", "-p03", "-p04")
    }
    assert len({*(trial.order for trial in again), *(trial.order for trial in ran[:-1])}) == 10


def interrupted_after_probe(number: int) -> Callable[[Trial], list[str]]:
    def happens(trial: Trial) -> list[str]:
        if trial.probe == number:
            raise KeyboardInterrupt
        return []

    return happens


def notes_of(folder: Path) -> dict[str, Any]:
    notes: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return notes


def test_a_complete_run_is_not_resumed(lab: Callable[..., Any]) -> None:
    folder, _ = lab(lambda _trial: [])
    with pytest.raises(RunError, match="Nothing is left to do"):
        runner.resume(folder, lambda _step: None)


def test_a_trial_without_attempts_left_is_not_resumed(lab: Callable[..., Any]) -> None:
    folder, _ = lab(lambda trial: STOLEN if trial.name == "one-r1" else [])
    with pytest.raises(RunError, match="Nothing is left to do"):
        runner.resume(folder, lambda _step: None)


def test_a_run_is_not_resumed_on_another_machine(lab: Callable[..., Any]) -> None:
    folder, _ = lab(interrupted_in(4))
    notes = json.loads((folder / "run.json").read_text())
    notes["machine"]["cores"] += 1
    (folder / "run.json").write_text(json.dumps(notes))
    with pytest.raises(RunError, match="began on another machine"):
        runner.resume(folder, lambda _step: None)


def test_a_run_without_its_rules_is_not_resumed(lab: Callable[..., Any]) -> None:
    folder, _ = lab(interrupted_in(4))
    notes = json.loads((folder / "run.json").read_text())
    del notes["rules"]
    (folder / "run.json").write_text(json.dumps(notes))
    with pytest.raises(RunError, match="a version that could not resume; run `loadtests run toy` again"):
        runner.resume(folder, lambda _step: None)


@pytest.mark.parametrize("wrong", [[], ["--resume", ".", "tax"], ["--resume", ".", "--repeats", "2"]])
def test_a_run_has_names_or_is_resumed_but_not_both(wrong: list[str]) -> None:
    answer = CliRunner().invoke(cli.cli, ["run", *wrong])
    assert answer.exit_code == 2
    assert "--resume" in answer.output


def test_a_trial_that_could_not_run_is_repeated_and_its_reason_recorded(lab: Callable[..., Any]) -> None:
    def fails_once(trial: Trial) -> list[str]:
        if trial.order == 2:
            raise TrialError("The load generator ended early: no shop")
        return []

    folder, ran = lab(fails_once)
    assert len(ran) == 7
    failed = list((folder / "trials").glob("*/failed.json"))
    assert json.loads(failed[0].read_text())["why"].endswith("no shop")


def test_a_users_curve_is_copied_into_the_run(lab: Callable[..., Any], tmp_path: Path) -> None:
    rates = "rates = { searcher = 10 }\n"
    (tmp_path / "toy.toml").write_text(TEXT.replace(rates, rates + "curve = { csv = 'day.csv' }\n"))
    (tmp_path / "day.csv").write_text("time,rate\n0,5\n10,15\n")
    own = load(str(tmp_path / "toy.toml"))
    folder, _ = lab(lambda _trial: [], experiment=own)
    (tmp_path / "day.csv").unlink()
    assert read_run(folder).experiments[0].phases[1].points == ((0, 0.5), (10, 1.5))
    first = next(read_trials(folder))
    assert first.phases[1].curve == ((0, 0.5), (10, 1.5))


def test_the_report_command_makes_the_report_again(lab: Callable[..., Any]) -> None:
    folder, _ = lab(lambda _trial: [])
    answer = CliRunner().invoke(cli.cli, ["report", str(folder)])
    assert answer.exit_code == 0, answer.output
    assert "report.html" in answer.output
    assert json.loads((folder / "results.json").read_text())["schema"] == 3
    first = (folder / "report.html").read_text()
    CliRunner().invoke(cli.cli, ["report", str(folder)])
    assert (folder / "report.html").read_text() == first


def test_a_published_run_has_the_same_ledger_without_its_raw_files(
    lab: Callable[..., Any], tmp_path: Path
) -> None:
    folder, _ = lab(lambda _trial: [])
    published = tmp_path / "published"
    for _again in range(2):  # the second time it replaces the first
        answer = CliRunner().invoke(cli.cli, ["publish", str(folder), str(published)])
        assert answer.exit_code == 0, answer.output
    assert {each.name for each in published.iterdir()} == {
        "experiments",
        "report.html",
        "results.json",
        "run.json",
        "summary.md",
    }
    _, texts = read_texts(published)
    results = json.loads((published / "results.json").read_text())
    assert ledger(results, texts) == ledger(read_run(folder).results, texts)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"stopped_early": True}, "stopped early"), ({"shops": {"monolith": "/home/ada/shop"}}, "other shops")],
)
def test_what_nobody_can_repeat_is_not_published(
    change: dict[str, Any], why: str, lab: Callable[..., Any], tmp_path: Path
) -> None:
    folder, _ = lab(lambda _trial: [])
    notes = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**notes, **change}))
    with pytest.raises(RunError, match=why):
        publish(folder, tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_publishing_replaces_a_published_run_only(lab: Callable[..., Any], tmp_path: Path) -> None:
    folder, _ = lab(lambda _trial: [])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="holds something else"):
        publish(folder, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_folder_that_is_no_run_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        read_run(tmp_path)


def test_shops_that_differ_are_not_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stopped = GateError("The shops give different answers")

    def differ(*_: object) -> None:
        raise stopped

    monkeypatch.setattr(runner, "same_work", differ)
    monkeypatch.setattr(ManagedTarget, "seed", lambda target, home, sizes: None)
    monkeypatch.setattr(runner, "write_texts", lambda experiments, folder: None)
    with pytest.raises(GateError):
        runner.run([toy()], tmp_path / "run", OPTIONS, lambda _step: None)
    assert not (tmp_path / "run" / "trials").exists()


def test_the_wait_for_a_calm_machine_is_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[Step] = []
    monkeypatch.setattr(runner, "run_trials", all_valid)
    budget = WaitBudget(1.0, lambda _seconds: (0.0, 0.5))
    rig = Rig(tmp_path, {}, slices.NoSlices())
    active = ActiveRun(TrialQueue(plan([toy()], share=False)), [toy()], tmp_path, OPTIONS, shown.append)
    runner._run_all(active, rig, budget)
    assert shown[0].text == "waiting for a calm machine: a hypervisor takes 50% of it"
    assert shown[1].text.startswith("trial 1 of 6: ")
    assert budget.waited == 1.0


def test_progress_names_the_trial_and_the_time_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[Step] = []
    monkeypatch.setattr(runner, "run_trials", all_valid)
    rig = Rig(tmp_path, {}, slices.NoSlices())
    active = ActiveRun(TrialQueue(plan([toy()], share=False)), [toy()], tmp_path, OPTIONS, shown.append)
    runner._run_all(active, rig, WaitBudget(0.0))
    assert shown[0].text.startswith("trial 1 of 6: ")
    assert shown[0].left.most > shown[-1].left.most > 0
    assert shown[0].left.least == shown[0].left.most


def test_a_void_trial_keeps_its_number_and_the_total_does_not_grow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run_trials(trials: Sequence[tuple[Trial, Path]], _rig: Rig) -> None:
        for trial, folder in trials:
            write_trial(trial, folder, STOLEN if trial.order == 2 else [])

    shown: list[Step] = []
    monkeypatch.setattr(runner, "run_trials", run_trials)
    rig = Rig(tmp_path, {}, slices.NoSlices())
    active = ActiveRun(TrialQueue(plan([toy()], share=False)), [toy()], tmp_path, OPTIONS, shown.append)
    runner._run_all(active, rig, WaitBudget(0.0))
    texts = [step.text for step in shown]
    assert all(" of 6: " in text for text in texts)
    assert texts[-1].startswith("trial 2 of 6: ")
    assert texts[-1].endswith(", attempt 2")
    assert shown[3].left.most > shown[3].left.least


def test_a_search_is_one_number_and_the_range_holds_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[Step] = []
    ran: list[float] = []

    def run_trials(trials: Sequence[tuple[Trial, Path]], rig: Rig) -> None:
        ran.extend(trial.seconds for trial, _ in trials)
        all_valid(trials, rig)

    monkeypatch.setattr(runner, "run_trials", run_trials)
    rig = Rig(tmp_path, {}, slices.NoSlices())
    experiment = small_search()
    queue = TrialQueue(plan([experiment], share=False), experiments=[experiment])
    active = ActiveRun(queue, [experiment], tmp_path, OPTIONS, shown.append)
    monkeypatch.setattr(active.pace, "add", lambda *_args, **_valid: None)  # simulated trials take no time
    runner._run_all(active, rig, WaitBudget(0.0))
    assert {step.text.partition(":")[0] for step in shown} == {
        *(f"trial {place} of 2" for place in (1, 2)),
        *(f"search {place} of 2" for place in (1, 2)),
    }
    for done, step in enumerate(shown):
        assert step.left.least <= sum(ran[done:]) <= step.left.most
    assert shown[-1].left.most - shown[-1].left.least < shown[0].left.most - shown[0].left.least


def test_the_list_names_every_experiment() -> None:
    answer = CliRunner().invoke(cli.cli, ["list"], env={"COLUMNS": "140"})
    assert answer.exit_code == 0
    for name in ("tax", "spike", "scale-hot"):
        assert name in answer.output


def test_a_mistake_of_the_user_gives_one_sentence_and_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["loadtests", "run", "taxes"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith('There is no experiment "taxes"')
    assert message.count("\n") == 1


def test_the_users_number_of_repeats_replaces_the_experiments(tmp_path: Path) -> None:
    changed: list[Experiment] = cli._with_repeats([toy()], 1)
    assert [each.repeats for each in changed] == [1]
    assert cli._with_repeats([toy()], None) == [toy()]


def test_all_means_every_experiment_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(
        console, "start_run", lambda these, options: chosen.extend(each.name for each in these)
    )
    answer = CliRunner().invoke(cli.cli, ["run", "all"])
    assert answer.exit_code == 0, answer.output
    assert chosen == names()

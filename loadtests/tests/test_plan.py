"""The order of trials."""

from itertools import groupby

from loadtests.experiments.experiment import load
from loadtests.planning.plan import plan, system_of
from loadtests.planning.trials import Trial
from loadtests.tests.made_up import toy


def which(trial: Trial) -> tuple[str, tuple[tuple[str, int], ...]]:
    return trial.system, tuple(trial.replicas.items())


def test_every_system_runs_once_in_every_repeat() -> None:
    trials = plan([toy()], share=False)
    assert len(trials) == 6
    for _, repeat in groupby(trials, key=lambda trial: trial.repeat):
        assert len({which(trial) for trial in repeat}) == 2


def test_the_order_is_drawn_from_the_seed_and_differs_between_repeats() -> None:
    experiment = toy().model_copy(update={"repeats": 12})
    trials = plan([experiment], share=False)
    assert [which(t) for t in trials] == [which(t) for t in plan([experiment], share=False)]
    firsts = {trial.system for trial in trials[::2]}
    assert firsts == {"monolith", "microservices"}


def test_the_demo_starts_a_system_once_per_repeat_for_all_experiments() -> None:
    demo = [load(name).short() for name in ("tax", "scale-hot", "spike")]
    trials = [trial for trial in plan(demo, share=True) if not trial.group]
    assert len(trials) == 2 * 4
    single = next(trial for trial in trials if trial.system == "microservices")
    assert list(dict.fromkeys(phase.experiment for phase in single.phases)) == ["tax", "spike"]


def test_trials_that_take_turns_are_not_shared_and_follow_each_other() -> None:
    demo = [load(name).short() for name in ("tax", "scale-hot", "spike")]
    groups = [trial.group for trial in plan(demo, share=True)]
    assert len(groups) == 2 * 4 + 4 * 3
    assert len([group for group, _ in groupby(groups) if group]) == 3


def test_without_sharing_each_experiment_has_its_own_trials() -> None:
    demo = [load(name).short() for name in ("tax", "spike")]
    assert len(plan(demo, share=False)) == 2 * len(plan(demo, share=True))


def test_the_limit_of_visits_in_flight_grows_with_the_replicas() -> None:
    trials = plan([load("scale-hot")], share=False)
    turns = [(trial, phase) for trial in trials for phase in trial.phases if phase.record]
    most = {max(t.replicas.values(), default=1): phase.most["recommendation-widget"] for t, phase in turns}
    assert most == {1: 2, 2: 4, 4: 8, 8: 16}


def test_folders_sort_in_the_order_of_the_run_and_name_the_attempt() -> None:
    first = plan([toy()], share=False)[0]
    first.attempt = 2
    assert first.folder.startswith("001-")
    assert first.folder.endswith("-r1-try2")


def test_a_count_of_one_replica_may_be_left_out() -> None:
    found = system_of(toy(), {"system": "monolith", "replicas": {"monolith": 1}})
    assert found is not None
    assert found.id == "one"
    assert system_of(toy(), {"system": "monolith", "replicas": {"monolith": 3}}) is None


def test_the_trials_of_the_demo_take_at_most_200_seconds() -> None:
    demo = [load(name).short() for name in ("tax", "scale-hot", "spike")]
    assert sum(trial.seconds for trial in plan(demo, share=True)) <= 200

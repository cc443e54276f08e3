"""Experiments are checked when they are read. A mistake is named with file, key and what was expected."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from loadtests.experiments import experiment
from loadtests.experiments.experiment import ExperimentError, load, names, parse
from loadtests.experiments.parts import Persona
from loadtests.tests.made_up import TEXT, toy


@pytest.mark.parametrize("name", names())
def test_every_shipped_experiment_can_be_read(name: str) -> None:
    loaded = load(name)
    assert loaded.question.endswith("?")
    assert loaded.claims


@pytest.mark.parametrize("name", names())
def test_the_short_form_keeps_the_rates_and_shortens_the_rest(name: str) -> None:
    full, short = load(name), load(name).short()
    kept = [phase for phase in full.phases if phase.name not in full.demo.leave_out]
    assert [phase.rates for phase in short.phases] == [phase.rates for phase in kept]
    assert sum(phase.seconds for phase in short.phases) < sum(phase.seconds for phase in full.phases)
    assert 3 <= short.repeats < full.repeats


def test_the_personas_of_experiments_are_those_that_exist() -> None:
    # In a process of its own: Locust patches the standard library when it is imported.
    code = "import json; from loadtests.load.personas import PERSONAS; print(json.dumps(list(PERSONAS)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == set(get_args(Persona))


SEARCH = '[search]\nphase = "loud"\n'


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("repeats = 3", "repeats = 0", "toy.toml: repeats: input should be greater than or equal to 1"),
        ("repeats = 3", 'repeats = "many"', "toy.toml: repeats: input should be a valid integer"),
        ("seconds = 10", "minutes = 10", "toy.toml: phases.1.seconds: field required"),
        ("{ searcher = 10 }", "{ thief = 10 }", "toy.toml: phases.0.rates.thief"),
        (
            'system = "monolith"',
            'system = "mainframe"',
            "toy.toml: systems.0.system: input should be 'monolith'",
        ),
        ('of = ["two/quiet"]', 'of = ["two/loud"]', 'expected "system/phase" of this file, not "two/loud"'),
        ("users = { searcher = 2 }", "users = { buyer = 2 }", "limits.users: expected a number for searcher"),
        ('judge = "bar"\nat_most = 1.25', 'judge = "bar"', "expects at_least or at_most"),
        ("{ quiet = 2 }", "{ silence = 2 }", "expected names of this file, not silence"),
        ('id = "two"', 'id = "one"', "expected every system id and phase name once"),
        ("seed = 1", "seed = ", "toy.toml: not TOML"),
        ("{ searcher = 10 }", "{ searcher = 10,5 }", '"10,5" has a decimal comma, write 10.5'),
        ("{ searcher = 10 }", "{ searcher = 1e9 }", "less than or equal to 5000"),
        (
            "[demo]",
            f"{SEARCH}start = 5\nleast = 10\n[demo]",
            "search: expected least <= start <= most, not 10, 5 and",
        ),
        (
            "[demo]",
            f"{SEARCH}start = 5\nmost = 2\n[demo]",
            "search: expected least <= start <= most, not 1, 5 and 2",
        ),
    ],
)
def test_a_mistake_is_named_with_file_key_and_what_was_expected(old: str, new: str, complaint: str) -> None:
    assert old in TEXT
    with pytest.raises(ExperimentError) as caught:
        parse(TEXT.replace(old, new, 1), "toy.toml")
    assert str(caught.value).startswith("toy.toml: ")
    assert complaint in str(caught.value)


def test_the_message_about_an_unknown_experiment_lists_the_known_ones() -> None:
    with pytest.raises(ExperimentError, match=r'no experiment "taxes"\. Choose one of .*tax'):
        load("taxes")


def test_a_file_must_have_the_name_of_its_experiment(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(TEXT)
    with pytest.raises(ExperimentError, match='name: expected "other"'):
        load("other", tmp_path)


def test_a_phase_without_a_slice_has_the_slice_of_the_experiment() -> None:
    text = TEXT.replace("record = false", "record = false\nslice_cores = 1.0")
    changed = parse(text, "toy.toml")
    assert [changed.slice_of(phase) for phase in changed.phases] == [1.0, 0.5]
    assert [toy().slice_of(phase) for phase in toy().phases] == [0.5, 0.5]


def test_the_folder_of_experiments_is_part_of_the_package() -> None:
    assert experiment.FOLDER.is_dir()

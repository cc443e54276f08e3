"""The authors' tools: a change in an early state reaches the later overlays, or is reported to do by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from click.testing import CliRunner

from exercises import cli
from exercises.authoring import guarantees
from exercises.authoring.manuscript import problems
from exercises.authoring.new import new
from exercises.authoring.overlays import overlay
from exercises.authoring.saving import edit, merge, save
from exercises.course.course import Course
from exercises.course.timetable import timetable
from exercises.errors import ExerciseError
from exercises.tests import made_up


@pytest.fixture
def unfold(own_course, tmp_path):
    """Edits texts of a state and saves it; returns the result of `save` and the course after it."""

    def change(name: str, which: str, **texts: str | None):
        course = Course(own_course)
        step, folder = course.step(name), tmp_path / f"unfolded-{which.replace('/', '-')}"
        edit(course, step, which, folder)
        for key, text in texts.items():
            path = folder / "monolith" / f"{key}.py"
            path.unlink() if text is None else path.write_text(text)
        return save(course, step, which, folder), Course(own_course)

    return change


def text_of(course: Course, name: str, which: str, relpath: str) -> str:
    return overlay(course, course.step(name), which).result[relpath].read_text()


def test_saving_without_an_edit_changes_nothing(unfold):
    saved, _ = unfold("hello", "solution")
    assert (saved.written, saved.removed, saved.carried, saved.manual) == ([], [], [], [])


def test_a_fix_in_an_early_state_is_carried_into_every_later_overlay_of_that_file(unfold):
    fixed = '"""Greetings."""\n\n' + made_up.HELLO
    saved, course = unfold("hello", "solution", greeting=fixed)
    assert saved.written == ["01-hello/solution/monolith/greeting.py"]
    assert "01-hello/wrong/prints/monolith/greeting.py" in saved.carried
    assert '"""Greetings."""' in text_of(course, "hello", "wrong/prints", "monolith/greeting.py")
    assert text_of(course, "hello", "wrong/prints", "monolith/greeting.py").endswith('print("hello")\n')


def test_a_change_of_the_same_lines_is_left_to_do_by_hand_and_the_overlay_stays(unfold):
    saved, course = unfold("hello", "solution", greeting='def hello(name):\n    return "Hello, " + name\n')
    assert any(
        "01-hello/alt/formatted/monolith/greeting.py: the change touches lines" in p for p in saved.manual
    )
    assert (
        text_of(course, "hello", "alt/formatted", "monolith/greeting.py")
        == 'def hello(name):\n    return f"hello {name}"\n'
    )


def test_a_new_file_becomes_part_of_the_overlay_and_of_all_later_states(unfold):
    saved, course = unfold("hello", "start", manners="KIND = True\n")
    assert saved.written == ["01-hello/start/monolith/manners.py"]
    assert text_of(course, "tidy", "solution", "monolith/manners.py") == "KIND = True\n"


def test_a_file_that_equals_the_state_below_is_removed_from_the_overlay(unfold, own_course):
    saved, _ = unfold(
        "hello", "solution", greeting=made_up.text("exercises/01-hello/start/monolith/greeting.py")
    )
    assert saved.removed == ["01-hello/solution/monolith/greeting.py"]
    assert not (own_course / "01-hello/solution/monolith/greeting.py").exists()


def test_a_removed_file_and_one_of_the_repository_must_be_named_by_hand(unfold, own_course):
    (own_course.parent / "monolith/more.py").write_text("MORE = 1\n")
    (own_course / "workshop.toml").write_text(
        (own_course / "workshop.toml").read_text().replace('"tests", ', '"tests", "more.py", ')
    )
    saved, _ = unfold("bye", "solution", old=None, more="MORE = 1\n")
    assert any("monolith/old.py is gone: name it in [remove]" in person for person in saved.manual)
    assert any(
        "monolith/more.py is equal to the repository's: name it in [reference]" in p for p in saved.manual
    )


SHOP = made_up.text("monolith/cli.py")
MISTAKE = "The shop ends instead of saying goodbye."


def test_a_small_change_of_an_answer_is_kept_as_a_patch_that_says_what_is_wrong(unfold):
    answer = SHOP.replace('"open"', '"closed"')
    saved, course = unfold("bye", "wrong/two", cli=answer)
    assert saved.written == ["02-bye/wrong/two.patch"]
    assert course.step("bye").patch("wrong/two").read_text().splitlines() == [
        MISTAKE,
        "",
        "--- a/monolith/cli.py",
        "+++ b/monolith/cli.py",
        "@@ -17,5 +17,5 @@",
        "     text = None",
        '     if path in ("/", "/readyz"):',
        '-        text = "open"',
        '+        text = "closed"',
        '     elif path.startswith("/hello/"):',
        '         text = greeting.hello(path.removeprefix("/hello/"))',
    ]
    assert text_of(course, "bye", "wrong/two", "monolith/cli.py") == answer


def test_an_answer_with_many_changes_is_kept_as_whole_files(unfold, own_course):
    saved, course = unfold("bye", "wrong/two", cli="import sys\n\nsys.exit(1)\n")
    assert saved.written == ["02-bye/wrong/two/monolith/cli.py"]
    assert saved.removed == ["02-bye/wrong/two.patch"]
    assert text_of(course, "bye", "wrong/two", "monolith/cli.py") == "import sys\n\nsys.exit(1)\n"


def test_an_answer_may_be_a_patch_and_whole_files(unfold):
    saved, course = unfold("bye", "wrong/two", farewell="import os\n")
    assert saved.written == ["02-bye/wrong/two/monolith/farewell.py"]
    assert "os._exit(1)" in text_of(course, "bye", "wrong/two", "monolith/cli.py")


def test_saving_an_answer_without_an_edit_changes_nothing(unfold):
    for which in ("wrong/one", "wrong/two"):
        saved, _ = unfold("bye", which)
        assert (saved.written, saved.removed, saved.manual) == ([], [], [])


def test_files_that_an_answer_removes_or_keeps_must_be_named_by_hand(unfold):
    saved, _ = unfold("tidy", "wrong/three", style='STYLE = "old"\n', greeting=None)
    assert saved.removed == ["03-tidy/wrong/three/monolith/style.py"]
    assert saved.manual == [
        "monolith/greeting.py is gone: name it in remove of wrong/three in 03-tidy/exercise.toml",
        "monolith/style.py is as at the start: name it in keep of wrong/three in 03-tidy/exercise.toml",
    ]


def test_a_change_of_the_solution_reaches_an_answer_kept_as_a_patch(unfold):
    saved, course = unfold("bye", "solution", cli=SHOP.replace("import json", "import json\nimport logging"))
    assert saved.manual == []
    answer = text_of(course, "bye", "wrong/two", "monolith/cli.py")
    assert "import logging" in answer
    assert "os._exit(1)" in answer


def test_a_patch_that_no_longer_applies_is_left_to_do_by_hand(unfold):
    saved, course = unfold("bye", "solution", cli=SHOP.replace("import farewell", "import farewell, style"))
    (sentence,) = saved.manual
    assert "wrong/two.patch does not apply: the hunk at line 21 of monolith/cli.py is not found" in sentence
    trial = next(trial for trial in guarantees.trials(course) if trial.label == "02-bye/wrong/two")
    assert guarantees.run_trial(course, trial, load=True).problem == sentence


def test_two_changes_merge_unless_they_change_the_same_lines():
    base = b"a\nb\nc\nd\ne\nf\ng\nh\n"
    assert merge(base.replace(b"a", b"A"), base, base.replace(b"h", b"H")) == b"A\nb\nc\nd\ne\nf\ng\nH\n"
    assert merge(base.replace(b"a", b"1"), base, base.replace(b"a", b"2")) is None


def test_a_state_is_not_written_to_a_folder_that_is_not_empty(own_course, tmp_path):
    course = Course(own_course)
    with pytest.raises(ExerciseError, match="is not empty"):
        edit(course, course.step("hello"), "solution", own_course)


def test_an_unknown_state_is_refused_with_the_names_of_the_known_ones(own_course):
    course = Course(own_course)
    with pytest.raises(
        ExerciseError, match=r"has no 'alt/nothing'; there are start, solution, alt/formatted"
    ):
        overlay(course, course.step("hello"), "alt/nothing")


def test_a_new_exercise_lacks_only_its_other_answers(own_course):
    new(own_course, "04-not-written")
    course = Course(own_course)
    assert course.steps[-1].label == "04-not-written"
    assert [problem.partition(" ")[2] for problem in problems(course)] == [
        "has 0 alt; it needs at least 1.",
        "has 0 wrong; it needs at least 3.",
    ]


@pytest.mark.parametrize("label", ["nothing", "4-short", "04_under"])
def test_a_new_exercise_needs_a_number_and_a_name(own_course, label):
    with pytest.raises(ExerciseError, match="is not like"):
        new(own_course, label)


def test_a_timetable_adds_up_and_leaves_out_what_is_not_written(course):
    entries = timetable(course, "all")
    assert [entry.what for entry in entries if entry.what[:2].isdigit()] == ["01-hello", "02-bye", "03-tidy"]
    for entry, following in pairwise(entries):
        assert following.at in {entry.at + entry.minutes, 0}


@pytest.mark.processes
@pytest.mark.parametrize(
    "label", ["01-hello/wrong/long", "02-bye/wrong/two", "02-bye/alt/formatted", "03-tidy/solution"]
)
def test_the_promises_of_the_made_up_course_are_kept(course, label):
    trial = next(trial for trial in guarantees.trials(course) if trial.label == label)
    assert guarantees.run_trial(course, trial, load=True).problem == ""


@pytest.mark.parametrize(
    ("label", "relpath", "text", "problem"),
    [
        (
            "03-tidy/start",
            "03-tidy/start/monolith/style.py",
            'STYLE = "new"\n',
            "every check passes at the start",
        ),
        ("03-tidy/solution", "03-tidy/solution/monolith/style.py", 'STYLE = "old"\n', "nothing-old: "),
        (
            "03-tidy/wrong/one",
            "03-tidy/wrong/one/monolith/style.py",
            'STYLE = "new"\n',
            "the check nothing-old passes",
        ),
        (
            "03-tidy/wrong/two",
            "03-tidy/wrong/two/monolith/style.py",
            'STYLE = ""\n',
            "the words 'there is none'",
        ),
    ],
)
def test_a_broken_promise_is_found(own_course, label, relpath, text, problem):
    path = own_course / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if "two" in label:
        manifest = own_course / "03-tidy/exercise.toml"
        manifest.write_text(manifest.read_text().replace('remove = ["monolith/style.py"]\n', ""))
    course = Course(own_course)
    trial = next(trial for trial in guarantees.trials(course) if trial.label == label)
    choice = guarantees.Choice(earlier=False, only=("nothing-old",))  # the one check that needs no shop
    assert guarantees.run_trial(course, trial, load=True, choice=choice).problem.startswith(problem)


def test_a_check_that_nothing_fails_is_found(own_course):
    manifest = own_course / "01-hello/exercise.toml"
    manifest.write_text(manifest.read_text().replace('check = "short"', 'check = "no-print"'))
    course = Course(own_course)
    assert list(guarantees.checks_never_failed([course.step("hello")], {})) == [
        "01-hello: neither the start nor a wrong answer fails the check short."
    ]


def test_verify_paper_reports_mistakes_in_the_files(own_course, monkeypatch):
    monkeypatch.setenv("EXERCISES_COURSE", str(own_course))
    ran = CliRunner().invoke(cli.cli, ["dev", "verify", "--paper"])
    assert (ran.exit_code, ran.output) == (0, "Every promise is kept.\n")
    (own_course / "01-hello/instructor.md").unlink()
    ran = CliRunner().invoke(cli.cli, ["dev", "verify", "--paper"])
    assert ran.exit_code == 1
    assert "instructor.md is missing." in " ".join(ran.output.split())

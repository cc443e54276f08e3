"""The course's files are validated, and a mistake is reported with file and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exercises.checks.inspecting import tree_of
from exercises.course.course import Course, UnknownExercise
from exercises.course.hints import read_hints
from exercises.course.manifest import Exercise, read
from exercises.errors import CourseError


def change(folder: Path, relpath: str, old: str, new: str) -> None:
    path = folder / relpath
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("relpath", "old", "new", "sentence"),
    [
        ("01-hello/exercise.toml", "minutes", "hours", "minutes: Field required"),
        ("01-hello/exercise.toml", 'goal = "Greet by name."', 'goal = "Greet"', "goal: String should match"),
        ("01-hello/exercise.toml", 'check = "greets"', 'check = "grets"', "no task has the check grets"),
        (
            "01-hello/exercise.toml",
            'checks = ["no-print", "short"]',
            'checks = ["greets"]',
            "greets is there twice",
        ),
        (
            "01-hello/exercise.toml",
            'id = "hello"',
            'id = "helo"',
            "id is 'helo', but the folder says 'hello'",
        ),
        (
            "01-hello/exercise.toml",
            "[[alt]]",
            "[[alternative]]",
            "alternative: Extra inputs are not permitted",
        ),
        ("01-hello/exercise.toml", "[[alt]]", "[[alt]", "is not TOML"),
        ("workshop.toml", "version = 1", "version = 0", "version: Input should be greater"),
        ("workshop.toml", '"01-hello"', '"1-hello"', "'1-hello' is not like 03-draw-the-seam"),
    ],
)
def test_a_mistake_in_a_manifest_is_named_with_file_and_key(own_course, relpath, old, new, sentence):
    change(own_course, relpath, old, new)
    with pytest.raises(CourseError, match=re.escape(sentence)) as caught:
        Course(own_course)
    assert str(own_course) in str(caught.value)


def test_files_with_a_byte_order_mark_are_read(own_course):
    file = own_course / "01-hello" / "exercise.toml"
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert Course(own_course).step("1").label == "01-hello"
    (own_course / "learner.py").write_text("x = 1\n", encoding="utf-8-sig")
    assert tree_of(own_course, "learner.py").body


@pytest.mark.parametrize("name", ["2", "02", "bye", "02-bye", " BYE "])
def test_an_exercise_is_found_by_number_and_by_name(course, name):
    assert course.step(name).label == "02-bye"


def test_an_unknown_exercise_is_refused_with_the_names_of_the_known_ones(course):
    with pytest.raises(UnknownExercise, match=r"no exercise '17'; there are 01-hello to 03-tidy"):
        course.step("17")


def test_the_course_ends_before_an_exercise_that_is_not_written_yet(course):
    assert [step.label for step in course.steps] == ["01-hello", "02-bye", "03-tidy"]
    assert course.after(course.steps[-1]) is None


def test_every_path_of_a_manifest_stays_in_the_workspace(own_course):
    change(own_course, "02-bye/exercise.toml", '"shared"', '"../secrets"')
    with pytest.raises(CourseError, match="reference"):
        read(Exercise, own_course / "02-bye/exercise.toml")


def test_a_task_without_its_third_hint_is_refused(own_course):
    change(own_course, "01-hello/hints.md", "### Nearly the code", "### The code")
    with pytest.raises(
        CourseError, match="greet needs the headings Where to look, The idea, Nearly the code"
    ):
        read_hints(own_course / "01-hello/hints.md")


def test_a_heading_inside_a_block_of_code_is_not_a_hint(own_course):
    change(own_course, "01-hello/hints.md", "# so", "### The idea")
    assert read_hints(own_course / "01-hello/hints.md")["greet"][2] == "```python\n### The idea\n```"

"""The tables of promises: each promise has a check and a wrong answer that exist and belong together."""

from __future__ import annotations

import pytest

from exercises.authoring.manuscript import problems
from exercises.course.course import Course
from exercises.course.promises import read_promises
from exercises.errors import CourseError
from exercises.tests.test_manifests import change

TABLE = "01-hello/promises.toml"


def test_a_table_names_for_each_promise_its_check_and_a_wrong_answer(course):
    promises = read_promises(course.step("hello"))
    assert [(each.text, each.check, each.wrong) for each in promises] == [
        ("every guest is greeted by name", "greets", "always-ada"),
        ("nothing is printed", "no-print", "prints"),
        ("the greeting is short", "short", "long"),
    ]


@pytest.mark.parametrize(
    ("relpath", "old", "new", "sentence"),
    [
        (TABLE, '"greets"', '"grets"', "names the check grets, which does not exist"),
        (TABLE, 'check = "greets"', 'check = "short"', "no promise is held by the check greets"),
        (TABLE, '"prints"', '"print"', "names wrong/print, which is not in exercise.toml"),
        (TABLE, '"prints"', '"always-ada"', "held by no-print, but wrong/always-ada must fail greets"),
        (
            TABLE,
            'wrong = "long"',
            'why = "Nothing breaks it alone."',
            "no promise is broken by wrong/long",
        ),
        (
            TABLE,
            'wrong = "long"',
            'wrong = ""',
            "'the greeting is short' names no wrong answer, so it needs a `why`",
        ),
    ],
)
def test_a_mistake_in_a_table_is_found(own_course, relpath, old, new, sentence):
    change(own_course, relpath, old, new)
    assert any(sentence in problem for problem in problems(Course(own_course)))


def test_an_exercise_without_a_table_is_found(own_course):
    (own_course / TABLE).unlink()
    course = Course(own_course)
    assert list(problems(course)) == [f"{course.folder / TABLE} is missing."]
    with pytest.raises(CourseError, match="is missing"):
        read_promises(course.step("hello"))

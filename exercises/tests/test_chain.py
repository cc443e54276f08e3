"""Each state is the one before with an overlay applied to it; no file is stored twice."""

from __future__ import annotations

import re

import pytest

from exercises.authoring.manuscript import problems
from exercises.course.course import Course, Tree
from exercises.errors import CourseError
from exercises.tests import made_up
from exercises.tests.test_manifests import change


def texts(tree: Tree) -> dict[str, str]:
    return {relpath: path.read_text() for relpath, path in tree.items()}


def test_a_workspace_begins_as_the_base_without_what_is_left_out(course):
    assert "monolith/tests/test_shop.py" not in course.base
    assert texts(course.base)["docs/note.txt"] == "kept\n"


def test_each_state_is_the_one_before_with_its_overlay(course):
    hello, bye, tidy = course.steps
    assert texts(course.state(hello, "start"))["monolith/greeting.py"] == made_up.text(
        "exercises/01-hello/start/monolith/greeting.py"
    )
    assert texts(course.state(hello, "solution"))["monolith/greeting.py"] == made_up.HELLO
    assert texts(course.state(bye, "start"))["monolith/greeting.py"].endswith(made_up.HELLO)
    assert texts(course.state(bye, "solution"))["monolith/farewell.py"] == made_up.BYE
    assert texts(course.state(tidy, "solution"))["monolith/farewell.py"] == made_up.BYE


def test_a_reference_is_taken_from_the_repository(course):
    relpath = course.state(course.step("bye"), "start")["shared/tool.py"]
    assert relpath == course.repository / "shared/tool.py"


def test_a_file_that_a_step_removes_is_missing_in_all_later_states(course):
    assert "monolith/old.py" in course.state(course.step("bye"), "solution")
    assert "monolith/old.py" not in course.state(course.step("tidy"), "start")
    assert "monolith/old.py" not in course.state(course.step("tidy"), "solution")


def test_a_state_may_have_files_a_second_time_as_they_are_or_as_they_were(own_course):
    manifest = own_course / "03-tidy" / "exercise.toml"
    copies = """
[[copies.start]]
to = "before"
paths = ["monolith/greeting.py"]
original = true

[[copies.start]]
to = "second"
paths = ["monolith"]
"""
    manifest.write_text(manifest.read_text() + copies)
    course = Course(own_course)
    state = texts(course.state(course.step("tidy"), "start"))
    assert state["before/monolith/greeting.py"] == texts(course.base)["monolith/greeting.py"]
    assert state["second/monolith/greeting.py"].endswith(made_up.HELLO)
    assert "second/monolith/old.py" in state
    assert "monolith/old.py" not in state


def test_copying_a_missing_file_is_a_mistake_of_the_course(own_course):
    manifest = own_course / "03-tidy" / "exercise.toml"
    copies = '\n[[copies.start]]\nto = "second"\npaths = ["monolith/none.py"]\n'
    manifest.write_text(manifest.read_text() + copies)
    with pytest.raises(
        CourseError, match=r"monolith/none\.py is to be copied to second, but it is not there"
    ):
        Course(own_course).state(Course(own_course).step("tidy"), "start")


def test_removing_a_missing_file_is_a_mistake_of_the_course(own_course):
    change(own_course, "03-tidy/exercise.toml", "monolith/old.py", "monolith/older.py")
    with pytest.raises(CourseError, match=r"monolith/older\.py is to be removed, but it is not there"):
        Course(own_course).state(Course(own_course).step("tidy"), "start")


def test_alternatives_and_mistakes_are_applied_to_the_solution(course):
    hello = course.step("hello")
    assert 'f"hello {name}"' in texts(course.state(hello, "alt/formatted"))["monolith/greeting.py"]
    assert "monolith/farewell.py" not in course.state(course.step("bye"), "wrong/three")


def test_an_answer_may_be_a_patch_for_the_solution(course):
    bye = course.step("bye")
    solution, answer = (texts(course.state(bye, which)) for which in ("solution", "wrong/two"))
    assert {relpath for relpath in solution if solution[relpath] != answer[relpath]} == {"monolith/cli.py"}
    assert "        os._exit(1)\n" in answer["monolith/cli.py"]


def test_an_answer_may_keep_a_file_as_at_the_start(course):
    tidy = course.step("tidy")
    assert course.state(tidy, "solution")["monolith/style.py"].read_text() == 'STYLE = "new"\n'
    assert course.state(tidy, "wrong/one")["monolith/style.py"].read_text() == 'STYLE = "old"\n'


@pytest.mark.parametrize(
    ("relpath", "old", "new", "sentence"),
    [
        (
            "02-bye/wrong/two.patch",
            "-        from monolith import farewell",
            "-        import farewell",
            r"wrong/two\.patch does not apply: the hunk at line 21 of monolith/cli\.py is not found",
        ),
        (
            "02-bye/wrong/two.patch",
            "monolith/cli.py",
            "shop/cli.py",
            r"changes shop/cli\.py, which does not exist",
        ),
        (
            "02-bye/wrong/two.patch",
            "@@ -21",
            "--- /dev/null\n+++ b/more.py\n@@ -0,0 +1 @@\n+MORE = 1\n",
            "adds or",
        ),
        ("02-bye/wrong/two.patch", "@@ -21,7", "@@ -21,99", "does not apply: corrupt patch at .*line"),
        (
            "03-tidy/exercise.toml",
            "keep = [",
            'keep = ["monolith/old.py", ',
            "is to be kept, but it is not in the start",
        ),
    ],
)
def test_an_answer_that_does_not_fit_is_a_mistake_of_the_course(own_course, relpath, old, new, sentence):
    change(own_course, relpath, old, new)
    course, name = Course(own_course), relpath[3:].partition("/")[0]
    with pytest.raises(CourseError, match=sentence):
        course.state(course.step(name), "wrong/one" if name == "tidy" else "wrong/two")
    assert any(re.search(sentence, problem) for problem in problems(course))


def test_the_made_up_course_has_no_mistake(course):
    assert list(problems(course)) == []


@pytest.mark.parametrize(
    ("relpath", "text", "sentence"),
    [
        (
            "02-bye/solution/monolith/greeting.py",
            "GREETINGS = 1\n\n\n" + made_up.HELLO,
            "equal to the state before",
        ),
        ("02-bye/solution/docs/more.txt", "MORE = 1\n", "equal to the repository's file"),
        ("02-bye/start/shared/tool.py", "TOOL = 2\n", "is never used"),
        ("02-bye/wrong/four/monolith/farewell.py", "", "wrong/four is not in exercise.toml"),
        ("02-bye/wrong/five.patch", "", "wrong/five is not in exercise.toml"),
        ("02-bye/wrong/one/monolith/farewell.py", "<<<<<<< mine\n", "is not Python"),
        ("03-tidy/wrong/one/monolith/style.py", 'STYLE = "old"\n', "is equal to the state before"),
        (
            "03-tidy/wrong/three/monolith/style.py",
            'STYLE = "old"\n',
            "is as at the start; name it in keep",
        ),
        (
            "02-bye/wrong/one/monolith/cli.py",
            made_up.text("monolith/cli.py").replace('"open"', '"closed"'),
            "differs little from the solution; `exercises dev save` makes it a patch",
        ),
        ("01-hello/README.md", "# Hello\n\n## Story\n", "needs the headings Story, Objectives"),
        ("01-hello/instructor.md", "", "needs the headings Timing"),
        ("02-bye/solution/monolith/farewell.py", "<<<<<<< mine\n", "is not Python"),
        ("01-hello/hints.md", "# Hints\n", "the tasks are not those of exercise.toml"),
    ],
)
def test_a_mistake_in_the_files_is_found(own_course, relpath, text, sentence):
    (own_course.parent / "docs/more.txt").write_text("MORE = 1\n")
    path = own_course / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    assert any(sentence in problem for problem in problems(Course(own_course)))


@pytest.mark.parametrize(
    ("relpath", "old", "new", "sentence"),
    [
        (
            "wrong/two.patch",
            "The shop ends",
            "It stops",
            "wrong/two.patch must begin with the sentence of exercise.toml",
        ),
        ("wrong/two.patch", "os._exit(1)", "os._exit(1", "wrong/two/monolith/cli.py is not Python"),
        (
            "exercise.toml",
            'name = "one"',
            'name = "six"',
            "wrong/six is in exercise.toml, but it has neither",
        ),
    ],
)
def test_a_mistake_in_an_answer_is_found(own_course, relpath, old, new, sentence):
    change(own_course, f"02-bye/{relpath}", old, new)
    assert any(sentence in problem for problem in problems(Course(own_course)))


def test_code_that_a_readme_shows_must_be_in_a_file(own_course):
    readme = own_course / "01-hello/README.md"
    readme.write_text(readme.read_text() + '\n```python\nreturn "hello " + name\n```\n')
    assert list(problems(Course(own_course))) == []
    readme.write_text(readme.read_text() + "\n```python\nreturn name\n```\n")
    assert any(
        "shows code that is in none of its files" in problem for problem in problems(Course(own_course))
    )


def test_check_py_and_exercise_toml_must_name_the_same_checks(own_course):
    change(own_course, "02-bye/check.py", '"says-goodbye"', '"says-bye"')
    found = list(problems(Course(own_course)))
    assert any("do not agree about says-bye, says-goodbye" in problem for problem in found)

"""Creates the folder of a new exercise, with all files that it needs and the headings of its texts."""

from __future__ import annotations

from pathlib import Path

from exercises.course.course import FOLDER
from exercises.course.hints import LEVELS
from exercises.course.promises import FILE
from exercises.errors import ExerciseError

README_PARTS = ("Story", "Objectives", "Tasks", "Done when", "Think about", "Key points")
INSTRUCTOR_PARTS = ("Timing", "Misconceptions", "Questions", "What to cut")

MANIFEST = """\
id = "{id}"
title = "{title}"
minutes = 45
goal = "What the learner changes, and why."

[[tasks]]
id = "first"
title = "What is done first"
checks = ["first-works"]
"""
CHECK = '''\
"""{number}: what is checked."""

from exercises.checks.checking import Bench, check


@check("first-works", task="first")
def _(bench: Bench) -> None:
    """The shop answers."""
    answer = bench.shop().ask("GET", "/")
    bench.expect(
        answer.status == 200,
        expected="200",
        got=answer,
        why="Why it matters.",
        look="monolith/storefront",
    )
'''

PROMISES = """\
[[promise]]
text = "The promise in the README's words."
check = "first-works"
why = "Or `wrong`: the answer in wrong/ that breaks only this promise. Then there is no `why`."
"""


def new(course_folder: Path, label: str) -> Path:
    """Create the folder of an exercise with all files that it needs; returns it."""
    if not FOLDER.fullmatch(label):
        raise ExerciseError(f"{label!r} is not like 10-split-the-table.")
    folder = course_folder / label
    if folder.exists():
        raise ExerciseError(f"{folder} exists already.")
    exercise_id = label.partition("-")[2]
    title = exercise_id.replace("-", " ").capitalize()
    for name in ("start", "solution", "alt", "wrong"):
        (folder / name).mkdir(parents=True)
    texts = {
        "exercise.toml": MANIFEST.format(id=exercise_id, title=title),
        "check.py": CHECK.format(number=label[:2]),
        FILE: PROMISES,
        "README.md": _headed(f"# {title}", README_PARTS).replace(
            "## Tasks", "## Tasks\n\n### 1. What is done first"
        ),
        "hints.md": "# Hints\n\n## first\n\n"
        + "\n\n".join(f"### {level}\n\nA sentence." for level in LEVELS)
        + "\n",
        "instructor.md": _headed(f"# {title}: for the teacher", INSTRUCTOR_PARTS),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _headed(title: str, parts: tuple[str, ...]) -> str:
    return "\n\n".join([title, *(f"## {part}" for part in parts)]) + "\n"

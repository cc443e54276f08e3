"""For authors: begin an exercise, unfold one of its states as a folder, fold what was edited back into overlays.

A fix in an early state must reach the later overlays that hold the same file whole. `save` carries it forward with a
three-way merge and lists what needs a person; a file that does not merge stays as it was.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exercises import files
from exercises.course import FOLDER, Course, Step, Tree
from exercises.errors import ExerciseError
from exercises.hints import RUNGS

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

from exercises.checking import Bench, check


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


@dataclass(frozen=True, slots=True)
class Layer:
    """One overlay: what it lies over, and what comes out."""

    step: Step
    which: str
    """start, solution, alt/NAME or wrong/NAME."""
    below: Tree
    result: Tree

    @property
    def folder(self) -> Path:
        """Where its own files are."""
        return self.step.folder / self.which

    @property
    def label(self) -> str:
        """As it is called in messages."""
        return f"{self.step.label}/{self.which}"


@dataclass(slots=True)
class Saved:
    """What `save` did."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Overlay files that are no longer needed."""
    carried: list[str] = field(default_factory=list)
    """Later overlays' files into which the change was merged."""
    person: list[str] = field(default_factory=list)
    """What somebody has to decide."""


def new(course_folder: Path, label: str) -> Path:
    """Make the folder of an exercise with every file that it needs, each with its headings."""
    if not FOLDER.fullmatch(label):
        raise ExerciseError(f"{label!r} is not like 10-split-the-table.")
    folder = course_folder / label
    if folder.exists():
        raise ExerciseError(f"{folder} is there already.")
    exercise_id = label.partition("-")[2]
    title = exercise_id.replace("-", " ").capitalize()
    for name in ("start", "solution", "alt", "wrong"):
        (folder / name).mkdir(parents=True)
    texts = {
        "exercise.toml": MANIFEST.format(id=exercise_id, title=title),
        "check.py": CHECK.format(number=label[:2]),
        "README.md": _headed(f"# {title}", README_PARTS).replace(
            "## Tasks", "## Tasks\n\n### 1. What is done first"
        ),
        "hints.md": "# Hints\n\n## first\n\n"
        + "\n\n".join(f"### {rung}\n\nA sentence." for rung in RUNGS)
        + "\n",
        "instructor.md": _headed(f"# {title}: for the teacher", INSTRUCTOR_PARTS),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def layer(course: Course, step: Step, which: str) -> Layer:
    """One of an exercise's states, by the name of its folder."""
    kind, _, name = which.partition("/")
    if which == "start":
        before = course.before(step)
        below = course.state(before, "solution") if before else course.base
        return Layer(step, which, below, course.state(step, "start"))
    if which == "solution":
        return Layer(step, which, course.state(step, "start"), course.state(step, "solution"))
    known = {
        "alt": [alt.name for alt in step.manifest.alt],
        "wrong": [wrong.name for wrong in step.manifest.wrong],
    }
    if name not in known.get(kind, []):
        choices = ["start", "solution", *(f"{k}/{each}" for k, names in known.items() for each in names)]
        raise ExerciseError(
            f"{step.label} has no {which!r}; there are {', '.join(choices)} (see exercise.toml)."
        )
    result = course.alternative(step, name) if kind == "alt" else course.mistake(step, name)
    return Layer(step, which, course.state(step, "solution"), result)


def layers(course: Course) -> Iterator[Layer]:
    """Every overlay, in the order in which they are laid; those beside a solution follow it."""
    for step in course.steps:
        yield layer(course, step, "start")
        yield layer(course, step, "solution")
        for alt in step.manifest.alt:
            yield layer(course, step, f"alt/{alt.name}")
        for wrong in step.manifest.wrong:
            yield layer(course, step, f"wrong/{wrong.name}")


def edit(course: Course, step: Step, which: str, folder: Path) -> int:
    """Unfold a state into an empty folder; returns the number of files."""
    if folder.exists() and any(folder.iterdir()):
        raise ExerciseError(f"{folder} is not empty; save or remove what is there first.")
    tree = layer(course, step, which).result
    course.write(tree, folder)
    return len(tree)


def save(course: Course, step: Step, which: str, folder: Path) -> Saved:
    """Fold an edited folder back: what differs from the state below is the overlay; then carry it forward."""
    if not folder.is_dir():
        raise ExerciseError(
            f"There is no {folder}; unfold it first: exercises dev edit {step.number} {which}"
        )
    target = layer(course, step, which)
    edited = {place: (folder / place).read_bytes() for place in files.theirs(folder)}
    old = {place: source.read_bytes() for place, source in target.result.items()}
    after = [later for later in layers(course) if _lies_over(course, later, target)]
    originals = {later.label: _contents(later) for later in after}
    saved = Saved()
    for place in sorted({*edited, *old}):
        if edited.get(place) != old.get(place):
            _store(course, target, place, edited.get(place), saved)
            _carry(after, originals, place, old.get(place), edited.get(place), saved)
    return saved


def merge(mine: bytes, base: bytes, other: bytes) -> bytes | None:
    """Both changes of `base` in one text; None when they touch the same lines."""
    git = shutil.which("git")
    if git is None:
        raise ExerciseError("Authors need git to carry a change forward; install it and save again.")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("mine", "base", "other")]
        for path, content in zip(paths, (mine, base, other), strict=True):
            path.write_bytes(content)
        done = subprocess.run(  # noqa: S603 -- git, on three files of ours
            [git, "merge-file", "-p", *map(str, paths)], capture_output=True, check=False
        )
    return done.stdout if done.returncode == 0 else None


def _store(course: Course, target: Layer, place: str, content: bytes | None, saved: Saved) -> None:
    """Have the overlay give this content at this place, or say what somebody must write into exercise.toml."""
    own = target.folder / place
    below = target.below[place].read_bytes() if place in target.below else None
    manifest = f"{target.step.label}/exercise.toml"
    if (
        place in target.result
        and not target.result[place].is_relative_to(target.step.folder)
        and own.exists()
    ):
        saved.person.append(
            f"{place} comes from [reference] in {manifest}; the overlay's own file is not used"
        )
    if content is None:
        if own.exists():
            own.unlink()
            saved.removed.append(f"{target.label}/{place}")
        if below is not None:
            saved.person.append(f"{place} is gone: name it in [remove] of {manifest}")
    elif content == below:
        if own.exists():
            own.unlink()
            saved.removed.append(f"{target.label}/{place}")
    elif files.content(course.repository / place) == content and below is None:
        saved.person.append(f"{place} is equal to the repository's: name it in [reference] of {manifest}")
    else:
        files.write(own, content)
        saved.written.append(f"{target.label}/{place}")


def _carry(
    after: list[Layer],
    originals: dict[str, dict[str, bytes]],
    place: str,
    old: bytes | None,
    new_content: bytes | None,
    saved: Saved,
) -> None:
    """Bring one file's change into every later overlay that holds that file."""
    chain = (old, new_content)  # as the file was and is in the newest state of the chain that was seen
    for later in after:
        own = originals[later.label].get(place)
        base, mine = chain
        if own is None or base is None or mine is None:
            if own is not None:
                saved.person.append(f"{later.label}/{place}: it was added or removed below; look at it")
            continue
        merged = merge(own, base, mine)
        if merged is None:
            saved.person.append(
                f"{later.label}/{place}: the change touches lines that this overlay changes too"
            )
            if later.which in {"start", "solution"}:
                return
            continue
        if merged != own:
            files.write(later.folder / place, merged)
            saved.carried.append(f"{later.label}/{place}")
        if later.which in {"start", "solution"}:
            chain = (own, merged)


def _lies_over(course: Course, later: Layer, target: Layer) -> bool:
    """Whether the state `later` is built on what `target` gives."""
    if target.which not in {"start", "solution"}:
        return False
    distance = course.steps.index(later.step) - course.steps.index(target.step)
    if distance == 0:
        order = ["start", "solution"]
        place = order.index(later.which) if later.which in order else len(order)
        return place > order.index(target.which)
    return distance > 0


def _headed(title: str, parts: tuple[str, ...]) -> str:
    return "\n\n".join([title, *(f"## {part}" for part in parts)]) + "\n"


def _contents(later: Layer) -> dict[str, bytes]:
    return {place: (later.folder / place).read_bytes() for place in files.theirs(later.folder)}


def default_folder(course: Course, step: Step, which: str) -> Path:
    """Where a state is unfolded unless somebody says otherwise: a place that git does not see."""
    return course.repository / "build" / "exercises" / f"{step.label}.{which.replace('/', '.')}"

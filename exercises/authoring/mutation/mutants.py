"""The mutants of a solution: each changes one place of what the learner writes.

The learner's own lines are those that the solution adds or changes. A file that is moved, such as a module that becomes
part of a service, counts only where it differs from the file that it was.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from exercises.authoring.mutation import caddyfile, python, settings
from exercises.authoring.mutation.edits import Edit, Kind
from exercises.course.course import Course, Step, Tree
from exercises.errors import ExerciseError

T = TypeVar("T")
Finder = Callable[[str, set[int]], Iterator[Edit]]
FINDERS: dict[str, Finder] = {
    ".py": python.edits,
    ".toml": settings.toml_edits,
    ".json": settings.json_edits,
    "Caddyfile": caddyfile.edits,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A solution with one change."""

    file: str
    """Path in the workspace."""
    line: int
    kind: Kind
    within: str
    text: str
    """What changes: the removed lines after "- ", the new ones after "+ ", without indentation."""
    content: str
    """The whole file with the change."""

    @property
    def where(self) -> str:
        """File, line and function in messages."""
        return f"{self.file}:{self.line}" + (f" ({self.within})" if self.within else "")


@dataclass(frozen=True, slots=True)
class Mutants:
    """All mutants of one solution."""

    mutants: tuple[Mutant, ...]
    invalid: int
    """How many changes do not compile or change nothing; they say nothing."""
    left_alone: tuple[str, ...]
    """The learner's files of a kind that cannot be mutated."""

    def of_file(self, name: str) -> Mutants:
        """Those of one file, named by the end of its path; ExerciseError when there is none."""
        chosen = tuple(each for each in self.mutants if f"/{each.file}".endswith(f"/{name}"))
        if not chosen:
            files = ", ".join(sorted({each.file for each in self.mutants}))
            raise ExerciseError(
                f"The learner writes nothing in {name!r} that can be mutated; there are {files}."
            )
        return Mutants(chosen, self.invalid, self.left_alone)


def mutants_of(course: Course, step: Step) -> Mutants:
    """All mutants of the solution of an exercise, in the order of its files."""
    start, solution = course.state(step, "start"), course.state(step, "solution")
    found: list[Mutant] = []
    invalid, left_alone = 0, []
    for file, path in solution.items():
        own = own_lines(file, path, start)
        finder = FINDERS.get(path.suffix) or FINDERS.get(path.name)
        if own and finder is None:
            left_alone.append(file)
        if own and finder:
            valid, refused = _of_file(file, path.read_text(encoding="utf-8"), own, finder)
            found += valid
            invalid += refused
    found += [_kept(file, start[file]) for file in start if file not in solution]
    return Mutants(tuple(found), invalid, tuple(left_alone))


def own_lines(file: str, path: Path, start: Tree) -> set[int]:
    """Numbers (from 1) of the lines that the learner writes in a solution's file, and does not only move or indent."""
    old = start.get(file) or _moved_from(file, start)
    if old == path:
        return set()
    before = old.read_text(encoding="utf-8").splitlines() if old else []
    after = path.read_text(encoding="utf-8").splitlines()
    changes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    removed = Counter(line.strip() for tag, a, b, _, _ in changes if tag != "equal" for line in before[a:b])
    added = [index for tag, _, _, a, b in changes if tag != "equal" for index in range(a, b)]
    own: set[int] = set()
    for index in added:
        line = after[index].strip()
        if removed[line] > 0:
            removed[line] -= 1
        else:
            own.add(index + 1)
    return own


def sample(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Up to `count` mutants, spread evenly over the files, and in each file over the kinds."""
    drawn = random.Random(seed)  # noqa: S311 -- a sample that can be drawn again
    files: dict[str, dict[Kind, list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for each in mutants:
        files[each.file][each.kind].append(each)
    queues = []
    for kinds in files.values():
        groups = list(kinds.values())
        for group in groups:
            drawn.shuffle(group)
        drawn.shuffle(groups)
        queues.append(list(_alternate(groups)))
    drawn.shuffle(queues)
    return list(_alternate(queues))[:count]


def _alternate(queues: Iterable[list[T]]) -> Iterator[T]:
    """The first of each, then the second of each, and so on."""
    nothing = object()
    for each in chain.from_iterable(zip_longest(*queues, fillvalue=nothing)):
        if each is not nothing:
            yield each  # type: ignore[misc]  # only the fill value is no T


def _moved_from(file: str, start: Tree) -> Path | None:
    """The file with the same name in a folder of the same name elsewhere: it was moved or copied."""
    end = PurePosixPath(file).parts[-2:]
    return next(
        (path for name, path in start.items() if len(end) == 2 and PurePosixPath(name).parts[-2:] == end),
        None,
    )


def _of_file(file: str, text: str, own: set[int], finder: Finder) -> tuple[list[Mutant], int]:
    """The valid mutants of one file, and how many changes are not valid."""
    found: dict[str, Mutant] = {}
    invalid = 0
    for edit in finder(text, own):
        content = edit.apply(text)
        if not _compiles(file, content) or _says_the_same(file, text, content):
            invalid += 1
        else:
            line = text.count("\n", 0, edit.start) + 1
            found[content] = Mutant(file, line, edit.kind, edit.within, difference(text, content), content)
    return list(found.values()), invalid


def difference(old: str, new: str) -> str:
    """The changed lines only, without indentation: the removed ones after "- ", the new ones after "+ "."""
    lines = unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def _compiles(file: str, text: str) -> bool:
    """Whether it is Python, if it has to be."""
    try:
        return not file.endswith(".py") or bool(compile(text, file, "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return False


def _says_the_same(file: str, old: str, new: str) -> bool:
    """Whether a changed topology is equal to the one before: an argument that was left out had its default."""
    return PurePosixPath(file).name == "topology.py" and _declared(old) == _declared(new)


@cache
def _declared(text: str) -> object:
    """What a topology.py declares; when it cannot be run, nothing else is equal to it."""
    names: dict[str, Any] = {}
    try:
        exec(compile(text, "topology.py", "exec", dont_inherit=True), names)  # noqa: S102 -- the course's own file
    except Exception:  # noqa: BLE001 -- a mutant may fail in any way
        return object()
    return names.get("TOPOLOGY"), names.get("SEED")


def _kept(file: str, path: Path) -> Mutant:
    return Mutant(file, 1, Kind.FILE, "", f"+ {file} stays", path.read_text(encoding="utf-8"))

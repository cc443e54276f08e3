"""Loads a check.py by its path, because the folders of the exercises have dashes in their names and are no packages."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

from exercises.checks.checking import Check, CheckError, collecting
from exercises.course.course import Step
from exercises.errors import CourseError


def checks_of(step: Step) -> list[Check]:
    """The checks of an exercise, in the order of the file; CourseError when exercise.toml names other ones."""
    found = _load(step.file("check.py"))
    named = {check_id: task.id for task in step.manifest.tasks for check_id in task.checks}
    written = {check.id: check.task for check in found}
    if named != written:
        odd = sorted({check_id for check_id, _ in named.items() ^ written.items()})
        raise CourseError(f"{step.folder}: exercise.toml and check.py do not agree about {', '.join(odd)}.")
    return list(found)


@cache
def _load(path: Path) -> tuple[Check, ...]:
    name = f"exercises_check_{path.parent.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise CourseError(f"{path} is missing.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        with collecting() as found:
            spec.loader.exec_module(module)
    except (CheckError, SyntaxError, ImportError, NameError, TypeError) as error:
        raise CourseError(f"{path} cannot be loaded: {type(error).__name__}: {error}.") from error
    return tuple(found)

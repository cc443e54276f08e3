"""Mutants of a TOML or JSON file: a key left out, a value changed."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from exercises.authoring.mutation.edits import Edit, Kind, is_sentence, other_number

WRONG_UNIT = 1000
"""Numbers in a learner's TOML file are measured. The double is as right as the figure itself, another unit is not."""


def toml_edits(text: str, own: set[int]) -> Iterator[Edit]:
    """The mutants of the lines in `own` (from 1). A value of several lines is left as it is."""
    lines = text.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    table = ""
    for index, line in enumerate(lines):
        if line.startswith("["):
            table = line.strip().strip("[]")
        value = _value(line)
        if index + 1 not in own or value is None:
            continue
        yield Edit(Kind.KEY, starts[index], starts[index + 1], "", table)
        other = _other(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            other = value * WRONG_UNIT
        if other is not None:
            key = line.partition("=")[0]
            changed = f"{key.rstrip()} = {json.dumps(other)}\n"
            yield Edit(Kind.CONSTANT, starts[index], starts[index + 1], changed, table)


def json_edits(text: str, _own: set[int]) -> Iterator[Edit]:
    """The mutants of the whole document: it is short where a learner writes one."""
    document = json.loads(text)
    indent = 2 if "\n" in text.strip() else None
    for path in _paths(document):
        for kind, change in ((Kind.KEY, _without), (Kind.CONSTANT, _with_other)):
            changed = copy.deepcopy(document)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            if change(parent, path[-1]):
                within = ".".join(map(str, path))
                yield Edit(kind, 0, len(text), f"{json.dumps(changed, indent=indent)}\n", within)


def _paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if not isinstance(document, dict | list):
        return
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _without(parent: Any, key: Any) -> bool:
    del parent[key]
    return True


def _with_other(parent: Any, key: Any) -> bool:
    other = _other(parent[key])
    parent[key] = other
    return other is not None


def _other(value: object) -> object:
    """Another value; None when there is none that means something else."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return other_number(value)
    return f"{value}x" if isinstance(value, str) and not is_sentence(value) else None


def _value(line: str) -> object:
    """The value in a line `key = value`; None when the line is something else."""
    try:
        values = list(tomllib.loads(line).values())
    except tomllib.TOMLDecodeError:
        return None
    return values[0] if values and "=" in line else None

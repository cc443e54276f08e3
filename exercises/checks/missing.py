"""Says in one sentence which module of a workspace is missing, from the end of a log or of a program's output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from microservices.sealing import PACKAGES

MODULE = re.compile(r"No module named '?([\w.]+)'?")
NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)' \(.*\)$")
PLACE = re.compile(r'^ *File "(.+)", line (\d+)', re.MULTILINE)
LAST_LINES = 3


def missing_module(text: str, folder: Path) -> tuple[str, str] | None:
    """The sentence and where to look; None when `text` does not end with a module that is missing."""
    end = "\n".join(text.strip().splitlines()[-LAST_LINES:])
    if found := MODULE.search(end):
        name = found[1]
        sentence = _no_module(name)
    elif found := NAME.search(end):
        name = f"{found[2]}.{found[1]}"
        sentence = f"{found[2]} has no {found[1]}: {_no_file(name)}"
    else:
        return None
    for place in _places(text, folder):
        return f"{sentence}; {place}, imports it", place
    return sentence, _path(name)


def _no_module(name: str) -> str:
    if name.partition(".")[0] in PACKAGES:
        return f"there is no module {name}: {_no_file(name)}"
    return f"there is no module {name}, neither in your workspace nor among the libraries"


def _no_file(name: str) -> str:
    return f"neither {_path(name)}.py nor {_path(name)}/ exists"


def _path(name: str) -> str:
    return name.replace(".", "/")


def _places(text: str, folder: Path) -> Iterator[str]:
    """The lines of the workspace's files that are in the traceback, the innermost first."""
    for file, line in reversed(PLACE.findall(text)):
        for root in (folder, folder.resolve()):
            if Path(file).is_relative_to(root):
                yield f"{Path(file).relative_to(root)}, line {line}"

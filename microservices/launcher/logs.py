"""Reads the logs of a fleet. Each process appends to its own file, so the launcher is not between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

FOLLOW_SECONDS = 0.1
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # ANSI colours that are legible on dark and on light


class LogTail:
    """New complete lines from all log files of a folder, each with its process's label."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._names = names
        """Services or replicas; empty for all."""
        self._read_until: dict[Path, int] = {}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Label and line of all that was written since the last call."""
        for file in sorted(self._folder.glob("*.log")):
            if self._wanted(file.stem):
                yield from ((file.stem, line) for line in self._new_lines(file))

    def skip_to_last(self, count: int) -> None:
        """Skip all but the last `count` lines of each file."""
        for file in self._folder.glob("*.log"):
            lines = file.read_bytes().splitlines(keepends=True)
            self._read_until[file] = sum(len(line) for line in lines[:-count])

    def _wanted(self, label: str) -> bool:
        return not self._names or label in self._names or label.rpartition("-")[0] in self._names

    def _new_lines(self, file: Path) -> list[str]:
        start = self._read_until.get(file, 0)
        try:
            with file.open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(start if start <= size else 0)  # shorter than before: a new run
                data = stream.read()
                end = stream.tell()
        except FileNotFoundError:
            return []
        whole, newline, rest = data.rpartition(b"\n")
        self._read_until[file] = end - len(rest)
        return whole.decode(errors="replace").split("\n") if newline else []


class Prefix:
    """Formats lines as `catalog-1  | line`, with one colour for each service."""

    def __init__(self, width: int, *, colour: bool) -> None:
        self._width = width
        self._colour = colour
        self._colours: dict[str, int] = {}

    def __call__(self, label: str, line: str) -> str:
        """The line with its prefix."""
        name = f"{label:<{self._width}} |"
        if self._colour:
            service = label.rpartition("-")[0] or label
            number = self._colours.setdefault(service, COLOURS[len(self._colours) % len(COLOURS)])
            name = f"\x1b[{number}m{name}\x1b[0m"
        return f"{name} {line}"


class LogEcho:
    """Writes new lines as they come; a context manager, whose exit writes the last lines."""

    def __init__(self, tail: LogTail, write: Callable[[str, str], None]) -> None:
        self._tail = tail
        self._write = write
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _follow(self) -> None:
        ended = False
        while not ended:
            ended = self._ending.wait(FOLLOW_SECONDS)
            for label, line in self._tail.lines():
                self._write(label, line)

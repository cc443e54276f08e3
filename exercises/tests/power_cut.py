"""Simulates power cuts: `python power_cut.py COURSE FOLDER COMMAND` runs a command in copies of FOLDER/workspace.

In copy 0, 1, 2 … the process is killed with SIGKILL just before its first, second, third … write, rename or removal,
until the command ends in one copy. Prints the number of copies.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exercises.course.course import Course
from exercises.workspaces.workspace import Workspace

MAX_WRITES = 300


def main() -> None:
    course, folder, command = Course(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    for number in range(MAX_WRITES):
        copy = folder / str(number)
        if command == "begin":
            copy.mkdir()
        else:
            shutil.copytree(folder / "workspace", copy)
        pid = os.fork()
        if pid == 0:
            killed_at(number)
            run(Workspace(copy / "inner" if command == "begin" else copy, course), command)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status == 0:
            sys.stdout.write(f"{number + 1}\n")
            return
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"{command} ended with status {status} at write {number}")
    sys.exit(f"{command} had not ended after {MAX_WRITES} writes")


def run(workspace: Workspace, command: str) -> None:
    if command == "begin":
        workspace.create()
        return
    with workspace.locked(command, lambda _: None):
        if command == "next":
            workspace.advance(anyway=True)
        elif command == "jump":
            workspace.jump(workspace.course.step("tidy"))
        elif command == "reset":
            workspace.reset()
        elif command == "restore":
            workspace.restore(1)


def killed_at(number: int) -> None:
    """Kill this process just before the write with this number."""
    left = [number]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*arguments, **options)

        return call

    os.fsync = counted(lambda _: None)  # a killed process loses nothing that it has passed to the system
    os.replace, os.unlink = counted(os.replace), counted(os.unlink)


if __name__ == "__main__":
    main()

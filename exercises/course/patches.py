"""An answer that differs little from the solution is kept as a patch: one sentence, then a unified diff.

Git applies it, without fuzz: every line of context must be there as it stands in the patch. That lines were added or
taken away above it does no harm.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from difflib import unified_diff
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from exercises import files
from exercises.errors import CourseError, ExerciseError

CONTEXT = 2
MAX_SHARE = 0.75
"""Of a file's lines, that its patch may have; the whole file is easier to read above that."""
GIT_ENV = {"LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
CHANGED = re.compile(r"^--- a/(.+)$", re.MULTILINE)
FAILED_HUNK = re.compile(r"^error: patch failed: (.+):(\d+)$", re.MULTILINE)


def patched(tree: Mapping[str, Path], patch: Path) -> dict[str, Path]:
    """The files that the patch changes, as files of their own until this process ends; none when there is no patch.

    CourseError names the file and the hunk that does not apply.
    """
    if not patch.is_file():
        return {}
    changed = CHANGED.findall(patch.read_text(encoding="utf-8"))
    folder = Path(mkdtemp(dir=_scratch()))
    for relpath in changed:
        if relpath not in tree:
            raise CourseError(f"{patch} changes {relpath}, which is not there.")
        (folder / relpath).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree[relpath], folder / relpath)
    # A folder inside somebody's repository must not be taken for a part of it.
    done = git(
        "apply", "--whitespace=nowarn", str(patch), cwd=folder, GIT_CEILING_DIRECTORIES=str(folder.parent)
    )
    if done.returncode:
        raise CourseError(
            f"{patch} does not apply: {_reason(done.stderr)}; correct it, or make the answer anew."
        )
    if set(files.list_files(folder)) != set(changed):
        raise CourseError(
            f"{patch} adds or removes a file; keep new files in {patch.stem}/, and name others in remove."
        )
    return {relpath: folder / relpath for relpath in changed}


def difference(relpath: str, old: bytes | None, new: bytes) -> str:
    """The change of a file as a piece of a patch; empty where the whole file is easier to read, or is new."""
    if old is None or not (old.endswith(b"\n") and new.endswith(b"\n")):
        return ""
    before, after = (content.decode().splitlines() for content in (old, new))
    lines = list(unified_diff(before, after, f"a/{relpath}", f"b/{relpath}", n=CONTEXT, lineterm=""))
    if len(lines) > MAX_SHARE * len(after):
        return ""
    # Many an editor takes the space of an empty line of context away; git knows the line without it as well.
    return "".join(f"{line.rstrip() if line.isspace() else line}\n" for line in lines)


def git(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[bytes]:
    """What git does and says, in English and whatever the author's own settings are; learners need no git."""
    program = shutil.which("git")
    if program is None:
        raise ExerciseError("Authors need git, for patches and to carry a change forward; install it.")
    return subprocess.run(  # noqa: S603 -- git, on files of ours
        [program, *arguments],
        cwd=cwd,
        env=os.environ | GIT_ENV | env,
        capture_output=True,
        check=False,
    )


def _reason(said: bytes) -> str:
    text = said.decode(errors="replace").strip()
    failed = FAILED_HUNK.search(text)
    if failed:
        return f"the hunk at line {failed[2]} of {failed[1]} is not found there word for word"
    return text.removeprefix("error: ").partition("\n")[0]


@cache
def _scratch() -> Path:
    folder = mkdtemp(prefix="exercises-patched-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)

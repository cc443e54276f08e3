"""Answers that differ little from the solution are stored as a patch: one sentence, then a unified diff.

Git applies it without fuzz: each line of context must be in the file exactly as in the patch. Lines added or removed
above it do no harm.
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
"""The longest patch, as a share of the file's lines. With a longer one the whole file is easier to read."""
GIT_ENV = {"LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
CHANGED = re.compile(r"^--- a/(.+)$", re.MULTILINE)
FAILED_HUNK = re.compile(r"^error: patch failed: (.+):(\d+)$", re.MULTILINE)


def patched(tree: Mapping[str, Path], patch: Path) -> dict[str, Path]:
    """The changed files, as temporary files that stay until this process ends; none when there is no patch.

    CourseError names the file and the hunk that does not apply.
    """
    if not patch.is_file():
        return {}
    changed = CHANGED.findall(patch.read_text(encoding="utf-8"))
    folder = Path(mkdtemp(dir=_scratch()))
    for relpath in changed:
        if relpath not in tree:
            raise CourseError(f"{patch} changes {relpath}, which does not exist.")
        (folder / relpath).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree[relpath], folder / relpath)
    # When the folder is inside another git repository, git must not treat it as part of that.
    done = git(
        "apply", "--whitespace=nowarn", str(patch), cwd=folder, GIT_CEILING_DIRECTORIES=str(folder.parent)
    )
    if done.returncode:
        raise CourseError(
            f"{patch} does not apply: {_reason(done.stderr)}; correct it, or make the answer again."
        )
    if set(files.list_files(folder)) != set(changed):
        raise CourseError(
            f"{patch} adds or removes a file; put new files into {patch.stem}/, and name removed ones in remove."
        )
    return {relpath: folder / relpath for relpath in changed}


def difference(relpath: str, old: bytes | None, new: bytes) -> str:
    """The change of a file as part of a patch; empty when the file is new or the whole file is easier to read."""
    if old is None or not (old.endswith(b"\n") and new.endswith(b"\n")):
        return ""
    before, after = (content.decode().splitlines() for content in (old, new))
    lines = list(unified_diff(before, after, f"a/{relpath}", f"b/{relpath}", n=CONTEXT, lineterm=""))
    if len(lines) > MAX_SHARE * len(after):
        return ""
    # Many editors remove the space of an empty context line; git accepts the line without it.
    return "".join(f"{line.rstrip() if line.isspace() else line}\n" for line in lines)


def git(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run git, in English and without the author's own settings. Only authors need git."""
    program = shutil.which("git")
    if program is None:
        raise ExerciseError("Authors need git for patches and for carrying a change forward; install it.")
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

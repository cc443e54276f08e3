"""Writes files so that a power cut leaves the old content or the new one, and lists the learner's files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from exercises.errors import ExerciseError

IGNORED = (".*", "__pycache__", "*.pyc", "runs")
"""Names that are always left out: hidden files (with the tool's own), caches, and the results of the lab."""
MAX_BYTES = 5_000_000
DRAFT = ".draft"


def digest(content: bytes) -> str:
    """The SHA-256 of a content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write the file whole or not at all, also when the power is cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}{DRAFT}")
    mode = _mode(path)
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            draft.chmod(mode)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def remove(path: Path, root: Path) -> None:
    """Remove the file, and the folders below `root` that are then empty."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root or not folder.is_dir():
            return
        _drop_caches(folder)
        try:
            folder.rmdir()
        except OSError:
            return


def list_files(root: Path, leave_out: tuple[str, ...] = IGNORED) -> Iterator[str]:
    """Paths of the regular files below `root`, sorted, relative and with slashes.

    Links are left out, and so are names that are not UTF-8: no text can name them, in a snapshot or on a terminal.
    """
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not matches(name, leave_out) and is_text(name))
        inside = Path(folder).relative_to(root).as_posix()
        for name in sorted(names):
            # No Path for each file: the page asks this every second.
            path = os.path.join(folder, name)  # noqa: PTH118
            if not matches(name, leave_out) and is_text(name) and _is_regular(path):
                yield name if inside == "." else f"{inside}/{name}"


def unreadable_names(root: Path) -> list[str]:
    """Files and folders below `root` whose names are not UTF-8, in a form that can be shown."""
    return [
        readable(os.path.join(folder, name).removeprefix(f"{root}/"))  # noqa: PTH118 -- it is a text here
        for folder, folders, names in os.walk(root)
        for name in (*folders, *names)
        if not is_text(name)
    ]


def is_text(name: str) -> bool:
    """Whether a name of the file system is UTF-8."""
    return name.isascii() or readable(name) == name


def readable(name: str) -> str:
    """The name with an escape sequence for each byte that is not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def read(path: Path) -> bytes | None:
    """The file's content; None when there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def require_inside(root: Path, relpath: str) -> Path:
    """The path of `relpath` below `root`; ExerciseError when it leads out of it."""
    path = root / relpath
    if Path(relpath).is_absolute() or ".." in Path(relpath).parts:
        raise ExerciseError(f"{relpath} is not a file of the workspace; name it relative to {root}.")
    return path


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether the name matches one of the patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def _is_regular(path: str) -> bool:
    """Whether it is a file and no link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None


def _drop_caches(folder: Path) -> None:
    """Remove Python's byte code from a folder that has nothing else."""
    cache = folder / "__pycache__"
    if cache.is_dir() and all(path == cache for path in folder.iterdir()):
        for file in cache.iterdir():
            file.unlink(missing_ok=True)
        cache.rmdir()

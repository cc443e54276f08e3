"""Mutation testing: `make mutants` removes one protection of the shops after the other; the tests must fail each time.

Each mutation is applied in a temporary copy of the tree, where the tests named with it must fail. Without a mutation
they must pass. Exit status 1 means that a mutation survived, 2 that the run says nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from microservices.tests.mutations import MUTATIONS, Mutation
from microservices.tests.postgresql import URL

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900
PASSED, FAILED = 0, 1
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)


class MutantsError(Exception):
    """The run says nothing about the tests; the text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which test failed with a mutation; None: it survived."""

    mutation: Mutation
    caught_by: str | None
    seconds: float


def main(words: Sequence[str]) -> int:
    """Try the mutations whose names contain all words; returns the exit status."""
    try:
        chosen, skipped = split_by_database(named(words))
        with copied_tree() as tree:
            say("Running the tests without a mutation; they must pass ...")
            require_passing(tree, chosen)
            survivors = [verdict for verdict in verdicts(tree, chosen) if verdict.caught_by is None]
    except MutantsError as error:
        say(str(error))
        return 2
    say(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations were caught.")
    for one in skipped:
        say(f"not tried, because there is no PostgreSQL at SHOP_TEST_POSTGRES ({URL}): {one.what}")
    return 1 if survivors else 0


def named(words: Sequence[str]) -> list[Mutation]:
    """The mutations whose names contain all words."""
    chosen = [one for one in MUTATIONS if all(word in one.what for word in words)]
    if not chosen:
        raise MutantsError(f"No mutation's name contains {' '.join(words)!r}; leave it out to try all.")
    return chosen


def verdicts(tree: Path, chosen: Sequence[Mutation]) -> Iterator[Verdict]:
    """Try each mutation, and print a line of the table for it."""
    width = max(len(one.what) for one in chosen)
    for one in chosen:
        started = time.monotonic()
        with applied(one, tree):
            status, output = run_tests(tree, [*one.caught_by, "-k", only_of(one)])
        found = FIRST_FAILURE.search(output)
        if status not in {PASSED, FAILED} or (status == FAILED and found is None):
            raise MutantsError(f"The tests could not be run with {one.what!r} taken out:\n{output[-2000:]}")
        verdict = Verdict(one, found[1] if status == FAILED and found else None, time.monotonic() - started)
        say(f"{one.what:{width}}  {verdict.seconds:4.0f} s  {verdict.caught_by or 'SURVIVES'}")
        yield verdict


def only_of(mutation: Mutation) -> str:
    """The pytest expression for the tests of the mutated shop: most files test both."""
    return "monolith" if mutation.what.startswith("monolith") else "not monolith"


def require_passing(tree: Path, chosen: Sequence[Mutation]) -> None:
    """Raise if the tests fail without a mutation."""
    files = sorted({file for one in chosen for file in one.caught_by})
    status, output = run_tests(tree, files)
    if status != PASSED:
        raise MutantsError(f"The tests fail without any mutation; make them pass first.\n{output[-2000:]}")


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A temporary copy of the working tree: tracked and new files, without ignored ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                target = Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
        yield Path(folder)


@contextmanager
def applied(mutation: Mutation, tree: Path) -> Iterator[None]:
    """Apply the mutation while the block runs."""
    file = tree / mutation.file
    code = file.read_text(encoding="utf-8")
    _write(file, mutated(mutation, code))
    try:
        yield
    finally:
        _write(file, code)


def _write(file: Path, code: str) -> None:
    file.write_text(code, encoding="utf-8")
    # Python takes byte code for current when the source's second and size agree, as they may here.
    for stale in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
        stale.unlink()


def mutated(mutation: Mutation, code: str) -> str:
    """The code with the mutation applied; raises MutantsError when `old` does not occur exactly once."""
    if (count := code.count(mutation.old)) != 1:
        raise MutantsError(
            f"The code that {mutation.what!r} replaces occurs {count} times in {mutation.file}, not once; "
            "update microservices/tests/mutations.py."
        )
    return code.replace(mutation.old, mutation.new)


def run_tests(tree: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Run pytest in the tree up to the first failure; returns its exit status and output."""
    env = os.environ | {"PYTHONPATH": str(tree)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-rfE",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        *arguments,
    ]
    try:
        done = subprocess.run(
            command, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise MutantsError(f"The tests did not end within {SECONDS} s: {' '.join(arguments)}") from None
    return done.returncode, done.stdout + done.stderr


def split_by_database(chosen: Sequence[Mutation]) -> tuple[list[Mutation], list[Mutation]]:
    """The mutations that can be tried here, and those that need a PostgreSQL that is not there."""
    try:
        psycopg.connect(URL, connect_timeout=2).close()
    except psycopg.Error:
        return [one for one in chosen if one.database == "any"], [
            one for one in chosen if one.database != "any"
        ]
    return list(chosen), []


def say(sentence: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Takes out what keeps the shops correct, one thing after the other, and lets the tests look for it: `make mutants`.

Each mutation is made in a scratch copy of the tree, and the tests named with it have to fail there; without any
mutation they have to pass. Exit status 1 when a mutation survives, 2 when nothing can be said.
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
    """Nothing can be said about the tests; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said about a mutation."""

    mutation: Mutation
    seen_by: str | None
    seconds: float


def main(words: Sequence[str]) -> int:
    """Try the mutations whose names hold all of the words; the exit status."""
    try:
        chosen, skipped = where_it_matters(named(words))
        with scratch() as tree:
            say("Without a mutation the tests have to pass ...")
            require_passing(tree, chosen)
            survivors = [verdict for verdict in verdicts(tree, chosen) if verdict.seen_by is None]
    except MutantsError as error:
        say(str(error))
        return 2
    say(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations were seen.")
    for one in skipped:
        say(f"not tried, for there is no PostgreSQL at SHOP_TEST_POSTGRES ({URL}): {one.what}")
    return 1 if survivors else 0


def named(words: Sequence[str]) -> list[Mutation]:
    """The mutations whose names hold all of the words."""
    chosen = [one for one in MUTATIONS if all(word in one.what for word in words)]
    if not chosen:
        raise MutantsError(f"No mutation's name holds {' '.join(words)!r}; leave it out to try all.")
    return chosen


def verdicts(tree: Path, chosen: Sequence[Mutation]) -> Iterator[Verdict]:
    """Each mutation with the test that saw it first; a line of the table for each."""
    width = max(len(one.what) for one in chosen)
    for one in chosen:
        started = time.monotonic()
        with applied(one, tree):
            status, output = run_tests(tree, [*one.seen_by, "-k", only_of(one)])
        found = FIRST_FAILURE.search(output)
        if status not in {PASSED, FAILED} or (status == FAILED and found is None):
            raise MutantsError(f"The tests could not be run with {one.what!r} taken out:\n{output[-2000:]}")
        verdict = Verdict(one, found[1] if status == FAILED and found else None, time.monotonic() - started)
        say(f"{one.what:{width}}  {verdict.seconds:4.0f} s  {verdict.seen_by or 'SURVIVES'}")
        yield verdict


def only_of(mutation: Mutation) -> str:
    """What selects the tests of the shop that the mutation is in: most files have those of both."""
    return "monolith" if mutation.what.startswith("monolith") else "not monolith"


def require_passing(tree: Path, chosen: Sequence[Mutation]) -> None:
    """Tests that fail anyway see nothing."""
    files = sorted({file for one in chosen for file in one.seen_by})
    status, output = run_tests(tree, files)
    if status != PASSED:
        raise MutantsError(f"The tests fail without any mutation; make them pass first.\n{output[-2000:]}")


@contextmanager
def scratch() -> Iterator[Path]:
    """A copy of what is under version control, as it is now, and of what is new."""
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
    """Have the mutation in the tree for a while."""
    file = tree / mutation.file
    code = file.read_text(encoding="utf-8")
    _write(file, mutated(mutation, code))
    try:
        yield
    finally:
        _write(file, code)


def _write(file: Path, code: str) -> None:
    file.write_text(code, encoding="utf-8")
    # Python takes byte code for up to date when size and second of its source agree; here they may by chance.
    for stale in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
        stale.unlink()


def mutated(mutation: Mutation, code: str) -> str:
    """The code with the mutation; it has to be there to be taken out."""
    if (count := code.count(mutation.old)) != 1:
        raise MutantsError(
            f"{mutation.file} holds {count} times what {mutation.what!r} replaces, not once; "
            "bring microservices/tests/mutations.py up to date."
        )
    return code.replace(mutation.old, mutation.new)


def run_tests(tree: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of pytest in the tree, up to the first test that fails."""
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


def where_it_matters(chosen: Sequence[Mutation]) -> tuple[list[Mutation], list[Mutation]]:
    """Those that can make a difference here, and those that need a PostgreSQL that is not there."""
    try:
        psycopg.connect(URL, connect_timeout=2).close()
    except psycopg.Error:
        return [one for one in chosen if one.database == "any"], [
            one for one in chosen if one.database != "any"
        ]
    return list(chosen), []


def say(sentence: str) -> None:
    """Tell whoever waits at the terminal."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a check.py is written with: `@check` names a check, `Bench` is what it works with.

    from exercises.checks.checking import Bench, check

    @check("page-degrades", task="fallback")
    def _(bench: Bench) -> None:
        '''Without recommendations the product page still answers, with bestsellers instead.'''
        shop = bench.shop()
        sku = bench.some_sku()
        with shop.killed("recommendations"):
            page = shop.ask("GET", f"/products/{sku}")
            bench.expect(
                page.status == 200,
                expected="200 and a page without recommendations",
                got=page,
                why="A dead recommendations service must not take the product page with it.",
                look="monolith/storefront/routes.py",
            )

A check passes when it returns. `bench.expect` raises NotYet, `bench.inconclusive` raises Inconclusive; every other
exception is a mistake of the check and is shown as a tool error. No answer from the learner's shop, or a
workspace file that is missing or is not Python, is NotYet by itself, so a check need not guard against it.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from exercises.checks.answers import Answer

__all__ = ["Answer", "Bench", "Check", "CheckError", "Inconclusive", "NotYet", "check"]


@dataclass
class NotYet(Exception):
    """The shop does not do yet what the check expects; the five parts in the order in which they are shown."""

    did: str
    """What the check did: a curl line to copy, or a sentence."""
    expected: str
    got: str
    why: str
    """Why it matters, one sentence."""
    look: str
    """Where to look: a path in the workspace, or a heading of the README."""
    log: tuple[str, ...] = ()
    """The last lines of the learner's own log, when the check knows better than the runner whose."""

    def __str__(self) -> str:
        return f"{self.did}: expected {self.expected}, got {self.got}"


class Inconclusive(Exception):
    """Nothing can be said, for a reason that is not the learner's; says what was measured."""


class CheckError(Exception):
    """A check was written wrongly."""


@dataclass(frozen=True)
class Check:
    """One check of an exercise."""

    id: str
    task: str
    """Id of the task in exercise.toml."""
    says: str
    """The function's docstring: the sentence that is shown."""
    run: Callable[[Bench], None] = field(repr=False)
    shop: bool = True
    """Needs the learner's shop running; booted before, at the same time as the oracle."""
    oracle: bool = False
    """Needs the untouched monolith beside it."""
    load: bool = False
    """Makes load or takes more than about three seconds: not run again by later exercises."""
    untidy: bool = False
    """May leave anything behind in the shop, such as empty shelves: later exercises run it after everything else."""
    timing: bool = False
    """Fails when something takes too long: tried three times, and inconclusive when the machine was busy."""
    seconds: float = 10.0
    """Longest that it may take on an idle machine; six times as much is given."""
    until: str | None = None
    """Id of the exercise from whose start on it no longer holds, such as "cut-over"; None: for good."""


_found: ContextVar[list[Check] | None] = ContextVar("found", default=None)


def check(
    check_id: str,
    *,
    task: str,
    shop: bool = True,
    oracle: bool = False,
    load: bool = False,
    untidy: bool = False,
    timing: bool = False,
    seconds: float = 10.0,
    until: str | None = None,
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Make a function of a check.py a check; they run in the order of the file. See `Check` for the options."""

    def register(function: Callable[[Bench], None]) -> Callable[[Bench], None]:
        says = " ".join((function.__doc__ or "").split())
        if not says:
            raise CheckError(
                f"The check {check_id} has no docstring; it is the sentence that a learner reads."
            )
        found = _found.get()
        if found is not None:
            if any(other.id == check_id for other in found):
                raise CheckError(f"There are two checks {check_id}.")
            found.append(
                Check(check_id, task, says, function, shop, oracle, load, untidy, timing, seconds, until)
            )
        return function

    return register


@contextmanager
def collecting() -> Iterator[list[Check]]:
    """The checks that are declared while the block runs."""
    found: list[Check] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


class Log(Protocol):
    """One process's log."""

    def tail(self, lines: int = 15) -> list[str]: ...


class Visitor(Protocol):
    """Somebody who asks one shop, with cookies of his own; a customer also sends his token."""

    email: str
    password: str
    id: str
    """The customer's id; empty for a stranger."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Send one request; redirects are not followed. No answer at all raises NotYet."""

    def try_ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """As `ask`, but no answer is an Answer with status 0 and the reason as text."""


class Shop(Visitor, Protocol):
    """A running shop. Asking it directly is asking as a stranger without cookies."""

    folder: Path
    """Where its code lies."""

    @property
    def url(self) -> str:
        """Where it answers; another port after `restart`."""

    @property
    def fleet(self) -> Any:
        """The `microservices.launcher.Fleet` behind it; None in exercises 01 to 03: the monolith runs alone there."""

    def visitor(self) -> Visitor:
        """A stranger with a cookie jar."""

    def customer(self, email: str | None = None) -> Visitor:
        """A customer, signed in by token: newly registered, or one of the data's such as ada@example.com."""

    def admin(self) -> Visitor:
        """The demo administrator, who may set prices and stock."""

    def names(self) -> list[str]:
        """Labels of the running processes: "monolith-1", "recommendations-1", "gateway"."""

    def pids(self, name: str) -> list[int]:
        """Processes of a service ("recommendations"), a replica ("recommendations-1") or "gateway"."""

    def log(self, name: str) -> Log:
        """What the service or replica writes."""

    def database(self, service: str) -> Path:
        """The SQLite file of a service ("monolith" alone in 01 to 03)."""

    def restart(self) -> None:
        """Stop everything and start it again on the same data."""

    def scale(self, name: str, count: int) -> None:
        """Have so many replicas of a service."""

    def killed(self, name: str) -> Any:
        """Context manager: SIGKILL, and not started again before its end, at which it is ready again."""

    def paused(self, name: str) -> Any:
        """Context manager: SIGSTOP; connections are taken but never answered: a hang."""

    def toxic(self, name: str, kind: str, stream: str = "downstream", **attributes: int) -> Any:
        """Context manager: a bad network before a service; kinds and attributes as in Toxiproxy (latency=3000).

        Only for a shop from `bench.shop(proxied=(name,))`.
        """

    def without_tables(self, service: str, *tables: str) -> Any:
        """Context manager: tables of a service's database (all when none are named) are away; queries of them fail."""

    def without_database(self, service: str) -> Any:
        """Context manager: every query of the service fails."""

    def kill(self, name: str) -> None:
        """SIGKILL, and not started again before `revive`; `killed` is both."""

    def revive(self) -> None:
        """Start again all that was killed; returns once it is ready."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended."""

    command: str
    status: int
    """Exit status; 124 when it took too long and was ended."""
    out: str
    err: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target."""

    file: Path
    """Relative to the workspace."""
    line: int
    module: str
    """Absolute, with the imported name when that is given: `from a.b import c` is "a.b.c"."""


class Bench(Protocol):
    """What a check works with. One bench serves all checks of a run; shops are booted once and shared."""

    workspace: Path
    random: random.Random
    """Seeded; `exercises check --seed N` repeats a run."""
    seed: int

    # ---- shops

    def shop(
        self,
        *,
        proxied: tuple[str, ...] = (),
        scale: dict[str, int] | None = None,
        env: dict[str, str] | None = None,
    ) -> Shop:
        """The learner's shop. Equal arguments give the same running shop for the whole run.

        proxied: services before which a fault proxy stands, for all of their callers. scale: replicas. env: more
        settings for every process.
        """

    def oracle(self) -> Shop:
        """The untouched monolith with the same data (until somebody changes one of them)."""

    def boot(self, folder: Path, *, env: dict[str, str] | None = None) -> Any:
        """Context manager: another shop from any folder laid out like a workspace, such as a mutant."""

    def copy(self, changes: dict[str, str] | None = None, *, of: Path | None = None) -> Path:
        """A folder with a copy of the workspace (or of another folder), gone after the run.

        changes: new texts of files by path, for fakes and mutants.
        """

    def original(self) -> Path:
        """A folder with the workspace as exercise 01 begins: the untouched monolith; do not write to it."""

    def some_sku(self) -> str:
        """A product chosen at random, present in both shops."""

    def same(self, method: str, path: str, *, why: str, look: str, **options: Any) -> tuple[Answer, Answer]:
        """Ask the learner's shop and the oracle; NotYet when they differ in status, headers that count or body.

        Times, ids that the shop made, and tokens are left out of the comparison. Returns both answers.
        """

    # ---- results

    def expect(
        self, condition: object, *, expected: str, got: object, why: str, look: str, did: str | None = None
    ) -> None:
        """Raise NotYet unless `condition` holds. did: by default the curl line of the last request."""

    def not_yet(
        self, *, expected: str, got: object, why: str, look: str, did: str | None = None
    ) -> Exception:
        """The same as an exception to raise: `raise bench.not_yet(...)`."""

    def inconclusive(self, reason: str) -> Exception:
        """`raise bench.inconclusive("...")`: nothing can be said; say what was measured."""

    def note(self, text: str) -> None:
        """A measured figure that is worth showing when the check passes: "10.3 % of 1,000 requests"."""

    # ---- programs and code

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Ran:
        """Run the Python interpreter with these arguments in the workspace ("-m", "pytest", "tests")."""

    def python(
        self,
        code: str,
        *,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Ran:
        """Run a piece of Python in the workspace; its packages win over the installed ones."""

    def text(self, path: str) -> str:
        """A file of the workspace; NotYet when it is missing."""

    def tree(self, path: str) -> ast.Module:
        """A file of the workspace, parsed; NotYet when it is missing or not Python."""

    def imports(self, path: str) -> list[Import]:
        """All imports of a file, or of the files below a folder (tests left out), those inside functions too."""

    def wait_until(self, happened: Callable[[], object], seconds: float, what: str) -> float:
        """Poll until true; returns the seconds it took. NotYet ("what" did not happen in n s) when it does not."""

    # ---- load and measurement

    def busy(self) -> float:
        """Cores that programs other than ours used since the check began, and that a hypervisor took away."""

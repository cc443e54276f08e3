"""What a check.py is written with: `@check` declares a check, and `Bench` is what the check works with.

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

A check passes when it returns. `bench.expect` raises NotYet, `bench.inconclusive` makes an Inconclusive to raise. Every
other exception is a mistake in the check and is shown as a tool error. When the learner's shop gives no answer, or a
workspace file is missing or is not Python, the bench raises NotYet by itself, so a check need not handle that.
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
    """The shop does not do yet what the check expects. Five parts, in the order in which they are shown."""

    did: str
    """What the check did: a curl line to copy, or a sentence."""
    expected: str
    got: str
    why: str
    """Why it matters, in one sentence."""
    look: str
    """Where to look: a path in the workspace, or a heading of the README."""
    log: tuple[str, ...] = ()
    """Log lines to show; when empty, the runner shows the end of the learner's own logs."""

    def __str__(self) -> str:
        return f"{self.did}: expected {self.expected}, got {self.got}"


class Inconclusive(Exception):
    """The check has no result, for a reason outside the learner's shop. The text says what was measured."""


class CheckError(Exception):
    """A mistake in a check."""


@dataclass(frozen=True)
class Check:
    """One check of an exercise."""

    id: str
    task: str
    """Id of the task in exercise.toml."""
    says: str
    """The function's docstring: the sentence that a learner reads."""
    run: Callable[[Bench], None] = field(repr=False)
    shop: bool = True
    """Needs the learner's shop, which is then started first, at the same time as the oracle."""
    oracle: bool = False
    """Also needs the untouched monolith."""
    load: bool = False
    """Makes load or takes more than about three seconds; later exercises do not run it again."""
    untidy: bool = False
    """May change the shop's data in any way, such as sell all stock; later exercises run it after all other checks."""
    timing: bool = False
    """Fails when something takes too long. It is tried up to three times; inconclusive when the machine was busy."""
    seconds: float = 10.0
    """The longest time it may take on an idle machine; it is stopped after six times as long."""
    until: str | None = None
    """Id of the exercise from which on the check no longer holds, such as "cut-over"; None when it always holds."""


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
    """Declare a function of a check.py as a check. Checks run in the order of the file. `Check` has the options."""

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
    """A visitor of one shop, with a cookie jar; a customer also sends a token."""

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
        """Send one request; redirects are not followed. NotYet when there is no answer."""

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
        """Like `ask`, but without an answer it returns an Answer with status 0 and the reason as text."""


class Shop(Visitor, Protocol):
    """A running shop. Its own `ask` sends requests as a stranger without cookies."""

    folder: Path
    """The folder with its code."""

    @property
    def url(self) -> str:
        """Its address; the port changes with `restart`."""

    @property
    def fleet(self) -> Any:
        """The `microservices.launcher.Fleet` that runs it; None in 01 to 03, where the monolith runs alone."""

    def visitor(self) -> Visitor:
        """A stranger with a cookie jar."""

    def customer(self, email: str | None = None) -> Visitor:
        """A customer, signed in by token: a new one, or one of the data set such as ada@example.com."""

    def admin(self) -> Visitor:
        """The demo administrator, who may set prices and stock."""

    def names(self) -> list[str]:
        """Labels of the running processes: "monolith-1", "recommendations-1", "gateway"."""

    def pids(self, name: str) -> list[int]:
        """Process ids of a service ("recommendations"), a replica ("recommendations-1") or "gateway"."""

    def log(self, name: str) -> Log:
        """The log of a service (its first replica) or of a replica."""

    def environment(self, service: str) -> dict[str, str]:
        """The environment of a service's processes, for `bench.run`: a program that works as this service."""

    def database(self, service: str) -> Path:
        """The SQLite file of a service; in 01 to 03 only "monolith" has one."""

    def restart(self) -> None:
        """Stop everything and start it again on the same data."""

    def scale(self, name: str, count: int) -> None:
        """Run this number of replicas of a service."""

    def killed(self, name: str) -> Any:
        """Context manager: SIGKILL at its start; started again at its end, which returns when it is ready."""

    def paused(self, name: str) -> Any:
        """Context manager: SIGSTOP; connections are accepted but never answered, as in a hang."""

    def toxic(self, name: str, kind: str, stream: str = "downstream", **attributes: int) -> Any:
        """Context manager: a network fault in front of a service; kinds and attributes as in Toxiproxy (latency=3000).

        Only for a shop from `bench.shop(proxied=(name,))`.
        """

    def without_tables(self, service: str, *tables: str) -> Any:
        """Context manager: tables of a service's database (all when none is named) are missing; their queries fail."""

    def without_database(self, service: str) -> Any:
        """Context manager: every query of the service fails."""

    def kill(self, name: str) -> None:
        """SIGKILL; it stays dead until `revive`. The context manager `killed` does both."""

    def revive(self) -> None:
        """Start everything again that was killed; returns when it is ready."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a program."""

    command: str
    status: int
    """Exit status; 124 when it took too long and was stopped."""
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
    """Absolute, with the imported name: `from a.b import c` is "a.b.c"."""


class Bench(Protocol):
    """What a check works with. One bench serves all checks of a run; shops are started once and shared."""

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

        proxied: services with a fault proxy in front of them, for all of their callers. scale: replicas by service.
        env: more settings for every process.
        """

    def oracle(self) -> Shop:
        """The untouched monolith. Both shops start with the same data."""

    def boot(self, folder: Path, *, env: dict[str, str] | None = None) -> Any:
        """Context manager: another shop, from any folder with the layout of a workspace, such as a mutant."""

    def copy(self, changes: dict[str, str] | None = None, *, of: Path | None = None) -> Path:
        """A copy of the workspace (or of another folder), removed after the run.

        changes: new texts of files by path, for fakes and mutants.
        """

    def original(self) -> Path:
        """A folder with the workspace as exercise 01 begins, the untouched monolith; do not write to it."""

    def some_sku(self) -> str:
        """The SKU of a product chosen at random; both shops have it."""

    def same(self, method: str, path: str, *, why: str, look: str, **options: Any) -> tuple[Answer, Answer]:
        """Ask the learner's shop and the oracle; NotYet when status, body or a header that counts differs.

        Times, ids that the shop made, and tokens are not compared. Returns both answers, the learner's first.
        """

    # ---- results

    def expect(
        self, condition: object, *, expected: str, got: object, why: str, look: str, did: str | None = None
    ) -> None:
        """Raise NotYet unless `condition` holds. The default of `did` is the curl line of the last request."""

    def not_yet(
        self, *, expected: str, got: object, why: str, look: str, did: str | None = None
    ) -> Exception:
        """The same exception to raise yourself: `raise bench.not_yet(...)`."""

    def inconclusive(self, reason: str) -> Exception:
        """`raise bench.inconclusive("...")`: there is no result. `reason` says what was measured."""

    def note(self, text: str) -> None:
        """Show a measured figure when the check passes, such as "10.3 % of 1,000 requests"."""

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
        """Run a piece of Python in the workspace. The workspace's packages are found before installed ones."""

    def text(self, path: str) -> str:
        """A file of the workspace; NotYet when it is missing."""

    def tree(self, path: str) -> ast.Module:
        """A file of the workspace, parsed; NotYet when it is missing or not Python."""

    def imports(self, path: str) -> list[Import]:
        """All imports of a file, or of the files below a folder (without tests), also those inside functions."""

    def wait_until(
        self,
        happened: Callable[[], object],
        seconds: float,
        what: str,
        seen: Callable[[], str] = lambda: "it had not happened",
    ) -> float:
        """Poll until true; returns the seconds it took. NotYet ("`what` within n s") when it does not happen.

        `seen` says what there was instead; " after n s" follows.
        """

    # ---- load and measurement

    def busy(self) -> float:
        """The most cores since the check began that other programs used or a hypervisor took away."""

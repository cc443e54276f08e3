"""What the checks of one run share: shops that are started once, the oracle, copies, and the last answer."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exercises.checks import inspecting, programs
from exercises.checks.answers import Answer
from exercises.checks.checking import Import, Inconclusive, NotYet, Ran
from exercises.checks.leftovers import sweep
from exercises.checks.machine import Watcher
from exercises.checks.missing import missing_module
from exercises.checks.seeding import Seeds
from exercises.checks.shops import RunningShop, ShopSpec
from exercises.course.course import Course
from exercises.errors import NotStarted
from exercises.files import IGNORED
from loadtests.contract.parity.compare import differences_of, parse
from microservices.launcher.environment import inherited
from microservices.sealing import in_workspace

POLL_SECONDS = 0.05
MAX_PAGE_SIZE = 100
LOG_LINES = 300
ANSWERED = re.compile(r'"level": "info".*"status": [1-4]\d\d\b')
"""A line for each request: where they are logged, they bury the warnings, and "got" shows those that matter."""


class CheckBench:
    """One run's bench. Close it at the end, also after an error."""

    def __init__(self, course: Course, workspace: Path, home: Path, seed: int | None = None) -> None:
        self.workspace = workspace
        self.watcher = Watcher()
        self.last: Answer | None = None
        self.notes: list[str] = []
        self.began = time.monotonic()
        self._course = course
        self._home = home
        self._shops: dict[object, RunningShop] = {}
        self._refused: dict[object, NotStarted] = {}
        self._all: list[RunningShop] = []
        self._lock = threading.RLock()
        self._booting: dict[object, threading.Lock] = {}
        self._numbers = iter(range(1, 10_000))
        sweep(home)
        shutil.rmtree(home / "copies", ignore_errors=True)
        self._seeds = Seeds(home, seed)
        self.seed = self._seeds.number
        self.random = random.Random(self.seed)
        self.watcher.__enter__()

    # ---- for the runner

    def prepare(self, *, shop: bool, oracle: bool) -> None:
        """Start the shops that the checks need, at the same time. A shop that does not start fails its checks later."""
        wanted: list[Callable[[], object]] = [self.shop] if shop else []
        wanted += [self.oracle] if oracle else []
        if len(wanted) > 1:
            with ThreadPoolExecutor(len(wanted)) as pool:
                for done in [pool.submit(each) for each in wanted]:
                    with contextlib.suppress(NotYet):
                        done.result()

    def begin_check(self, check_id: str, attempt: int) -> None:
        """Begin a check. Its random choices depend only on the run's seed, its own id and the attempt."""
        self.random = random.Random(f"{self.seed} {check_id} {attempt}")
        self.last = None
        self.notes = []
        self.began = time.monotonic()
        with self._lock:
            for key, running in list(self._shops.items()):
                if not running.is_ready():
                    running.stop()
                    del self._shops[key]

    def discard_shops(self) -> None:
        """Stop the shared shops; the next check starts new ones."""
        with self._lock:
            for running in self._shops.values():
                running.stop()
            self._shops.clear()
            self._refused.clear()

    def log_tail(self, lines: int = 15) -> list[tuple[str, list[str]]]:
        """The last lines of the learner's logs by process, without answered requests and without empty logs."""
        found = []
        for running in self._shops.values():
            if running.folder == self.workspace:
                found += [
                    (name, _telling(log.tail(LOG_LINES))[-lines:]) for name, log in running.logs().items()
                ]
        return [(name, tail) for name, tail in found if tail]

    def close(self) -> None:
        """End every process and remove what was written."""
        for running in list(self._all):
            running.stop()
        self.watcher.__exit__()
        shutil.rmtree(self._home / "shops", ignore_errors=True)
        shutil.rmtree(self._home / "copies", ignore_errors=True)
        self._seeds.prune_cache()

    # ---- shops

    def shop(
        self,
        *,
        proxied: tuple[str, ...] = (),
        scale: dict[str, int] | None = None,
        env: dict[str, str] | None = None,
    ) -> RunningShop:
        """The learner's shop; equal arguments give the same running shop."""
        key = (
            tuple(sorted(proxied)),
            tuple(sorted((scale or {}).items())),
            tuple(sorted((env or {}).items())),
        )
        return self._shared(key, self.workspace, tuple(sorted(proxied)), scale or {}, env or {}, mine=True)

    def oracle(self) -> RunningShop:
        """The untouched monolith."""
        try:
            return self._shared("oracle", self.original(), (), {}, {}, mine=False)
        except NotYet as error:
            raise RuntimeError(f"The untouched monolith does not start: {error.got}") from error

    @contextmanager
    def boot(self, folder: Path, *, env: dict[str, str] | None = None) -> Iterator[RunningShop]:
        """Another shop, from any folder; it ends with the block."""
        running = self._new(ShopSpec(folder, self._new_folder("shops"), self._seeds, env or {}))
        try:
            running.start()
        except NotStarted as error:
            raise _not_started(str(error), folder) from error
        try:
            yield running
        finally:
            running.stop()

    def original(self) -> Path:
        """A folder with the workspace as the first exercise begins; do not write to it."""
        folder = self._home / "copies" / "original"
        with self._lock:
            if not folder.exists():
                draft = folder.with_name("original.draft")
                shutil.rmtree(draft, ignore_errors=True)
                self._course.write(self._course.base, draft)
                draft.rename(folder)
        return folder

    def copy(self, changes: dict[str, str] | None = None, *, of: Path | None = None) -> Path:
        """A copy of the workspace or of another folder, with new texts for some files."""
        folder = self._new_folder("copies")
        # The byte code is copied too: compiling is half of a shop's start. Files changed below are newer than it.
        ignored = shutil.ignore_patterns(*(set(IGNORED) - {"__pycache__", "*.pyc"}))
        shutil.copytree(of or self.workspace, folder, ignore=ignored)
        for relpath, text in (changes or {}).items():
            target = folder / relpath
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return folder

    def some_sku(self) -> str:
        """The SKU of a product chosen at random."""
        path = f"/api/products?page_size={MAX_PAGE_SIZE}"
        shop = self.shop()
        body = shop.ask("GET", path).json()
        skus = [item.get("sku") for item in _items(body)]
        if not skus or not all(isinstance(sku, str) for sku in skus):
            raise self.not_yet(
                expected="a list of products with their SKUs",
                got=self.last,
                why="The checks choose their products from this list.",
                look="monolith/catalog; with a gateway also which paths its matchers send elsewhere",
            )
        return str(self.random.choice(skus))

    def same(self, method: str, path: str, *, why: str, look: str, **options: Any) -> tuple[Answer, Answer]:
        """Ask both shops; NotYet when their answers differ in a way that counts."""
        theirs = self.oracle().ask(method, path, **options)
        mine = self.shop().ask(method, path, **options)
        differ = differences_of(_facts(theirs), _facts(mine))
        if differ:
            raise NotYet(
                mine.curl,
                f"what the untouched monolith answers: {differ[0]}",
                f"{mine.status}: {differ[1]}",
                why,
                look,
            )
        return mine, theirs

    # ---- results

    def expect(
        self, condition: object, *, expected: str, got: object, why: str, look: str, did: str | None = None
    ) -> None:
        """Raise NotYet unless the condition holds."""
        if not condition:
            raise self.not_yet(expected=expected, got=got, why=why, look=look, did=did)

    def not_yet(self, *, expected: str, got: object, why: str, look: str, did: str | None = None) -> NotYet:
        """The exception to raise."""
        asked = self.last.curl if self.last else "looked at your workspace"
        return NotYet(did or asked, expected, str(got), why, look)

    def inconclusive(self, reason: str) -> Inconclusive:
        """The exception to raise."""
        return Inconclusive(reason)

    def note(self, text: str) -> None:
        """Show a measured figure with the pass."""
        self.notes.append(text)

    # ---- programs and code

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Ran:
        """Run the interpreter in the workspace."""
        folder = folder or self.workspace
        settings = {**inherited(os.environ), **self._seeds.env, **(env or {})}
        return programs.run(arguments, folder, in_workspace(settings, folder), timeout)

    def python(
        self,
        code: str,
        *,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Ran:
        """Run a piece of Python in the workspace."""
        return self.run("-c", code, folder=folder, env=env, timeout=timeout)

    def text(self, path: str) -> str:
        """A file of the workspace."""
        return inspecting.text_of(self.workspace, path)

    def tree(self, path: str) -> ast.Module:
        """A file of the workspace, parsed."""
        return inspecting.tree_of(self.workspace, path)

    def imports(self, path: str) -> list[Import]:
        """All imports of a file or folder."""
        return inspecting.imports_of(self.workspace, path)

    def wait_until(
        self,
        happened: Callable[[], object],
        seconds: float,
        what: str,
        seen: Callable[[], str] = lambda: "it had not happened",
    ) -> float:
        """Poll until true."""
        started = time.monotonic()
        while not happened():
            waited = time.monotonic() - started
            if waited > seconds:
                raise self.not_yet(
                    expected=f"{what} within {seconds:g} s",
                    got=f"{seen()} after {waited:.1f} s",
                    why="A shop that takes longer looks broken to the people who wait.",
                    look="the log below",
                )
            time.sleep(POLL_SECONDS)
        return time.monotonic() - started

    def busy(self) -> float:
        """The most cores since the check began that other programs used or a hypervisor took away."""
        now = self.watcher.since(self.began)
        return now.others + now.stolen

    # ---- inside

    def _shared(
        self,
        key: object,
        folder: Path,
        proxied: tuple[str, ...],
        scale: dict[str, int],
        env: dict[str, str],
        *,
        mine: bool,
    ) -> RunningShop:
        with self._lock:
            booting = self._booting.setdefault(key, threading.Lock())
        with booting:
            if key in self._refused:
                raise _not_started(str(self._refused[key]), folder) from self._refused[key]
            if key not in self._shops:
                spec = ShopSpec(
                    folder, self._new_folder("shops"), self._seeds, env, scale, proxied, mine=mine
                )
                running = self._new(spec)
                try:
                    running.start()
                except NotStarted as error:
                    self._refused[key] = error
                    raise _not_started(str(error), folder) from error
                self._shops[key] = running
            return self._shops[key]

    def _new(self, spec: ShopSpec) -> RunningShop:
        running = RunningShop(spec, self._record if spec.mine else lambda _: None)
        self._all.append(running)
        return running

    def _record(self, answer: Answer) -> None:
        self.last = answer

    def _new_folder(self, kind: str) -> Path:
        with self._lock:
            folder = self._home / kind / str(next(self._numbers))
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder


def _not_started(text: str, folder: Path) -> NotYet:
    first, _, log = text.partition("\n")
    got, look = missing_module(text, folder) or (
        first,
        "the last lines of its log; `exercises serve` starts it and shows its log",
    )
    return NotYet(
        did="started your shop",
        expected="a shop that is ready to be asked",
        got=got,
        why="Nothing can be checked before the shop runs.",
        look=look,
        log=tuple(log.splitlines()),
    )


def _items(body: Any) -> list[Any]:
    items = body.get("items") if isinstance(body, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _facts(answer: Answer) -> dict[str, Any]:
    return parse(answer.response).normal({})


def _telling(lines: list[str]) -> list[str]:
    """Those that say more than that a request was answered."""
    return [line for line in lines if not ANSWERED.search(line)]

"""16: a bill whose figures are in the raw files of runs, and a service that is part of the monolith again."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import requests

import loadtests
from exercises.checks import programs
from exercises.checks.checking import Answer, Bench, Ran, Shop, Visitor, check
from exercises.checks.standin import scratch
from loadtests.contract.client import new_session
from loadtests.report.ledger import Row, ledger
from loadtests.running.folder import FinishedRun, RunError, read_run
from microservices.launcher import sqlite_url

BILL, COPY = "bill.toml", "merged"
MONOLITH, SERVICE = "monolith", "inventory"
MIN_CLAIMS = 4
MIN_WORDS = 6
"""Of a doubt and of a condition: fewer are no sentence about this claim."""
NUMBERS = ("number", "at_least", "at_most")
ROUNDED = 0.006
"""Figures may be rounded to about three digits."""
FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
A_NUMBER = re.compile(
    r"\d|\b(two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|fifty|hundred|half|third|quarter|twice|double)\b",
    re.IGNORECASE,
)
"""In a sentence, as a figure or as a word."""
LEFT = ("accounts", "cart", "orders", "payments", "storefront")
MODULES = ("monolith/inventory", "monolith/orders/checkout.py")
BACK = ("-m", "monolith.inventory.bring_back")
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
CALLS = re.compile(r'^http_requests_total\{[^}]*route="/(?:api|internal)/[^"]*"[^}]*\} (\S+)$', re.MULTILINE)
WAITED_FOR = ("recommendations", "catalog", SERVICE)
"""The services that a page or a checkout waits for. The mailer is told later."""
MEASURED = 3
"""So often a count is taken. The least is right: on a busy machine a call is sometimes repeated."""
APPROVED = "4242424242424242"
BUYERS, PIECES = 4, 5
SIZES = {"SHOP_PRODUCTS": "400", "SHOP_CUSTOMERS": "200", "SHOP_ORDERS": "1000"}
SUITE = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "loadtests/contract/acceptance", "--shop-url")
SUITE_SECONDS = 300.0
BUSY = 0.5
"""Cores that other programs use; above this a suite that does not end is inconclusive."""


# ---- task 1


@check("each-claim-has-its-run", task="ledger", shop=False)
def _(bench: Bench) -> None:
    """bill.toml has claims about your shop, for the split and against it, each with a run that is there."""
    claims = _claims(bench)
    bench.expect(
        len(claims) >= MIN_CLAIMS,
        did=f"read {BILL}",
        expected=f"at least {MIN_CLAIMS} tables [[claim]]",
        got=f"{len(claims)}",
        why="A bill with one line is an opinion.",
        look=BILL,
    )
    rows = [_known(bench, claim) for claim in claims]
    sides = {row.side for row in rows}
    bench.expect(
        sides == {"claim", "price"},
        did=f"looked up the claims of {BILL} in their runs",
        expected="claims that are made for the split, and prices that are paid for it",
        got=f"only {' and '.join(sorted(sides))}s",
        why="Who counts one side of a bill has decided before.",
        look=BILL,
    )
    runs = sorted({_text(claim, "run") for claim in claims})
    bench.note(f"{len(rows)} claims from {', '.join(runs)}")


@check("no-figure-is-invented", task="ledger", shop=False)
def _(bench: Bench) -> None:
    """Each figure is that of its run, computed again from the raw files; an interval belongs to it."""
    for claim in _claims(bench):
        row = _known(bench, claim)
        (known, bound), interval = _number(row), _figures(row.interval)
        bench.expect(
            claim.get("void", False) is row.void,
            did=_did(claim),
            expected=f"void = {str(row.void).lower()}: "
            + ("only void trials have this number" if row.void else "trials that are valid have this number"),
            got=f"{claim.get('void', 'no key void')}",
            why="The lab had a reason to leave these trials out. Who uses them all the same says so.",
            look=f"{BILL}; the report's row says: with nothing left out",
        )
        given: dict[str, Any] = {name: claim[name] for name in NUMBERS if name in claim}
        wanted = bound or "number"
        bench.expect(
            list(given) == [wanted],
            did=_did(claim),
            expected=f"{wanted} = {known:g}" + (": this run has only a bound" if bound else ""),
            got=", ".join(given) or "no number",
            why="Behind a bound the true number may be anywhere. Told as a value it is an invention.",
            look=f"{BILL}: number, at_least or at_most, as the report shows it",
        )
        bench.expect(
            _same(given[wanted], known),
            did=_did(claim),
            expected=f"{wanted} = {known:g}" + ("" if row.void else f": {row.statement}"),
            got=f"{given[wanted]}",
            why="A figure that is in no run, or that is made of two runs, compares nothing. Two runs are two days.",
            look=BILL,
        )
        if bound:
            continue
        told = claim.get("interval")
        bench.expect(
            isinstance(told, list) and len(told) == len(interval) and all(map(_same, told, interval)),
            did=_did(claim),
            expected=f"interval = [{', '.join(f'{each:g}' for each in interval)}]",
            got="no interval" if told is None else f"{told}",
            why="Without its interval nobody can tell a number from noise.",
            look=BILL,
        )


@check("each-claim-has-its-doubt", task="ledger", shop=False)
def _(bench: Bench) -> None:
    """Each claim has the verdict of its run, and a doubt of its own."""
    doubts: dict[str, str] = {}
    for claim in _claims(bench):
        row = _known(bench, claim)
        bench.expect(
            _text(claim, "verdict") == row.verdict,
            did=_did(claim),
            expected=f'verdict = "{row.verdict}"',
            got=repr(claim.get("verdict")),
            why="The interval decides whether a run supports a claim, not what one had hoped for.",
            look=BILL,
        )
        doubt = _text(claim, "doubt")
        bench.expect(
            len(doubt.split()) >= MIN_WORDS and doubt not in doubts,
            did=_did(claim),
            expected="a doubt: in a sentence, what could make this number wrong for another shop or another day",
            got=f"the same doubt as for {doubts[doubt]!r}" if doubt in doubts else repr(doubt),
            why="Every run leaves something out. Who reads the bill has to know what.",
            look="the doubts in the run's report; the section Think about of exercises 02 and 09",
        )
        doubts[doubt] = _text(claim, "claim")


# ---- task 2


@check("the-calls-are-counted", task="count", load=True, seconds=20)
def _(bench: Bench) -> None:
    """bill.toml says how many calls a product page and a checkout make, before the merge and after it."""
    told = _table(bench, "calls")
    counted = {"before": _counted(bench, bench.shop()), "after": _counted(bench, _merged(bench))}
    for when, calls in counted.items():
        for what, count in calls.items():
            given = told.get(what)
            number = given.get(when) if isinstance(given, dict) else None
            bench.expect(
                number == count,
                did=f"counted the calls that one {what} waits for in your shop, {when} the merge, at the metrics of "
                f"{', '.join(WAITED_FOR)}",
                expected=f"[calls] {what} with {when} = {count}",
                got=f"{number}",
                why="Calls are counted, not estimated: each of them is latency, and one more thing that can fail.",
                look=f"{BILL}: [calls]",
            )
    bench.note(_calls_in_words(counted))


# ---- task 3


@check("one-hop-fewer", task="merge", load=True, seconds=20)
def _(bench: Bench) -> None:
    """In the copy no process and no path is the inventory's, and a page and a checkout make fewer calls than before."""
    shop = _merged(bench)
    here = [name for name in shop.names() if name.startswith(f"{SERVICE}-")]
    bench.expect(
        not here,
        did=f"started the shop in {COPY}",
        expected=f"no process of {SERVICE}",
        got=", ".join(here),
        why="A service that still runs is still paid for.",
        look=f"{COPY}/topology.py",
    )
    sku = _sku(bench, shop)
    answer = shop.ask("GET", f"/api/inventory/{sku}")
    bench.expect(
        answer.status == 200,
        expected="200 and the stock: the path is the monolith's again",
        got=answer,
        why="Clients keep their paths. Who answers is no business of theirs.",
        look=f"{COPY}/Caddyfile; {COPY}/monolith/app.py",
    )
    before, after = _counted(bench, bench.shop()), _counted(bench, shop)
    bench.expect(
        all(after[what] < before[what] for what in before),
        did="counted the calls that a product page and a checkout wait for, in your shop and in the copy",
        expected="fewer in the copy, for both",
        got=_calls_in_words({"before": before, "after": after}),
        why="To merge a service back and to go on calling it is the worst of both.",
        look=f"{COPY}/monolith/orders/checkout.py; {COPY}/monolith/storefront/routes.py",
    )


@check("one-transaction-again", task="merge", load=True, seconds=20)
def _(bench: Bench) -> None:
    """In the copy stock, payment and order are one transaction: of a checkout that fails, nothing is left."""
    shop = _merged(bench)
    sku = _sku(bench, shop)
    _set_stock(bench, shop, sku, PIECES)
    for table in ("order_lines", "outbox"):
        someone = _buyer(bench, shop, sku)
        before = _money_and_stock(bench, shop, sku)
        with shop.without_tables(MONOLITH, table):
            answer = _check_out(bench, someone)
        after = _money_and_stock(bench, shop, sku)
        bench.expect(
            answer.status >= 500 and after == before,
            did=f"took the table {table} away, and bought a piece of {sku} in the copy",
            expected=f"an answer from 500 on, and all as it was: {_shown(before)}",
            got=f"{answer.status}; {_shown(after)}",
            why="That everything happens or nothing is what you get back for the service; not in two transactions.",
            look=f"{COPY}/monolith/orders/checkout.py",
        )
    _set_stock(bench, shop, sku, 1)
    buyers = [_buyer(bench, shop, sku) for _ in range(BUYERS)]
    with ThreadPoolExecutor(BUYERS) as pool:
        keys = [_key(bench) for _ in buyers]
        statuses = sorted(
            each.status
            for each in pool.map(lambda of: _check_out(bench, *of), zip(buyers, keys, strict=True))
        )
    bench.expect(
        statuses == [201] + [409] * (BUYERS - 1),
        did=f"let {BUYERS} customers buy the last piece of {sku} in the copy at the same moment",
        expected=f"201 once, and 409 {BUYERS - 1} times",
        got=", ".join(map(str, statuses)),
        why="Between a look at the stock and the sale, somebody else buys.",
        look=f"{COPY}/monolith/inventory/service.py: sell",
    )


@check("the-suite-is-green", task="merge", shop=False, load=True, seconds=100)
def _(bench: Bench) -> None:
    """The acceptance suite is green on the copy: for those who use the shop nothing has changed."""
    repository = Path(loadtests.__file__).parents[1]
    with bench.boot(_copy(bench), env=SIZES) as shop:
        ran = programs.run((*SUITE, shop.url), repository, {}, SUITE_SECONDS)
    if ran.status == programs.TIMED_OUT and bench.busy() > BUSY:
        raise bench.inconclusive(
            f"the acceptance suite did not end within {SUITE_SECONDS:.0f} s, on a busy machine"
        )
    lines = [line for line in ran.out.splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    bench.expect(
        ran.status == 0,
        did=f"python -m pytest loadtests/contract/acceptance --shop-url {shop.url}, with the shop in {COPY}",
        expected="all tests green, as on your shop",
        got="; ".join(failed[:3]) or (lines or ran.err.splitlines() or ["nothing"])[-1],
        why="A merge is a change like any other: what customers and clients rely on stays.",
        look=COPY,
    )
    bench.note(lines[-1])


# ---- task 4


@check("the-stock-comes-back", task="data", seconds=20)
def _(bench: Bench) -> None:
    """All that the service knows about each product is in the monolith's table, and no other row has changed."""
    shop = bench.shop()
    for sku in _skus(bench, shop, 3):
        _set_stock(bench, shop, sku, bench.random.randint(20, 900))
        _bought(bench, shop, sku)
    moved = _moving(bench)
    others = _others(moved.ours)
    ran = moved.bring_back(bench)
    bench.expect(
        ran.status == 0,
        did=ran.command,
        expected="exit status 0",
        got=_last_line(ran),
        why="The two shops are stopped, and nothing is reserved: nothing is in the way.",
        look=f"{COPY}/monolith/inventory/bring_back.py",
    )
    _expect_stock(bench, moved, _stock(moved.theirs), "did not change anything else")
    changed = sorted(name for name, rows in others.items() if _others(moved.ours).get(name) != rows)
    bench.expect(
        not changed,
        did=ran.command,
        expected="no other table of the monolith changed",
        got=", ".join(changed),
        why="Orders, payments and keys were here all the time. They have to survive the move.",
        look=f"{COPY}/monolith/inventory/bring_back.py",
    )
    sku = bench.random.choice(sorted(_stock(moved.ours)))
    with closing(sqlite3.connect(moved.ours)) as db, db:
        db.execute("UPDATE stock SET available = available - 1, sold = sold + 1 WHERE sku = ?", (sku,))
    wanted = _stock(moved.ours)
    moved.bring_back(bench)
    _expect_stock(bench, moved, wanted, f"sold a piece of {sku} meanwhile, and ran it a second time")


@check("first-what-is-under-way", task="data", seconds=20)
def _(bench: Bench) -> None:
    """While a checkout is not finished, nothing moves, or the move finishes it: no piece and no key is lost."""
    _bought(bench, bench.shop(), _skus(bench, bench.shop(), 1)[0])
    for what, leave in (
        ("pieces are still reserved", _reserved),
        ("the pieces of a confirmed order are still reserved", _confirmed),
        ("a checkout has only begun", _begun),
    ):
        moved = _moving(bench)
        finished = leave(bench, moved)
        ran = moved.bring_back(bench)
        empty = not _stock(moved.ours)
        bench.expect(
            (ran.status != 0 and empty) or (ran.status == 0 and finished()),
            did=f"{ran.command}, while {what}",
            expected="exit status 1 and no stock in the monolith; or 0, with the checkout finished and no piece lost",
            got=f"exit status {ran.status}, and {'no' if empty else 'the'} stock in the monolith",
            why="After the merge nobody knows what a reservation is. A piece that is reserved then is gone for ever, "
            "and a customer whose key has no answer waits for ever.",
            look=f"{COPY}/monolith/inventory/bring_back.py",
        )


# ---- task 5


@check("each-part-has-a-verdict", task="verdict", shop=False)
def _(bench: Bench) -> None:
    """Each service is kept or merged because of claims in the bill, and each module that is left has a condition."""
    claims = {_text(claim, "claim") for claim in _claims(bench)}
    parts = {_text(part, "name"): part for part in _tables(bench, "part")}
    for name in (*(each for each in WAITED_FOR), "mailer"):
        part = parts.get(name, {})
        because = part.get("because")
        bench.expect(
            part.get("decision") in {"keep", "merge"}
            and isinstance(because, list)
            and because
            and set(map(str, because)) <= claims,
            did=f"looked for the verdict about {name} in {BILL}",
            expected=f'a [[part]] with name = "{name}", decision = "keep" or "merge", and because = [claims of this '
            "bill]",
            got=f"decision = {part.get('decision')!r}, because = {because!r}",
            why="A decision that no measurement could change is a matter of taste.",
            look=f"{BILL}: [[part]]",
        )
    left = {_text(module, "name"): module for module in _tables(bench, "left")}
    for name in LEFT:
        when = _text(left.get(name, {}), "take_it_out_when")
        bench.expect(
            len(when.split()) >= MIN_WORDS and A_NUMBER.search(when),
            did=f"looked for the condition for {name} in {BILL}",
            expected=f'a [[left]] with name = "{name}" and take_it_out_when = a sentence with a number that can be '
            "missed",
            got=repr(when),
            why="'When it gets too big' is always true or never. A number can be looked up.",
            look=f"{BILL}: [[left]]; the epilogue of the README",
        )


# ---- the bill


def _bill(bench: Bench) -> dict[str, Any]:
    try:
        return tomllib.loads(bench.text(BILL))
    except tomllib.TOMLDecodeError as error:
        raise bench.not_yet(
            did=f"read {BILL}",
            expected="TOML",
            got=error,
            why="The figures are read from this file.",
            look=BILL,
        ) from error


def _tables(bench: Bench, name: str) -> list[dict[str, Any]]:
    found = _bill(bench).get(name, [])
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _table(bench: Bench, name: str) -> dict[str, Any]:
    found = _bill(bench).get(name, {})
    return found if isinstance(found, dict) else {}


def _claims(bench: Bench) -> list[dict[str, Any]]:
    claims = _tables(bench, "claim")
    bench.expect(
        claims,
        did=f"read {BILL}",
        expected="tables [[claim]]",
        got="none",
        why="Whoever decides about the shop reads this file, and not your memory.",
        look=BILL,
    )
    return claims


def _text(table: Mapping[str, Any], name: str) -> str:
    found = table.get(name, "")
    return " ".join(found.split()) if isinstance(found, str) else ""


def _did(claim: Mapping[str, Any]) -> str:
    claimed, experiment, run = (_text(claim, name) for name in ("claim", "experiment", "run"))
    return f"computed {claimed!r} of {experiment} again from the raw files of {run}"


@dataclass(frozen=True)
class Known:
    """What a run says about a claim, in the words of its report."""

    side: str
    statement: str
    ratio: str
    interval: str
    verdict: str
    void: bool
    """Whether only void trials have a number, "with nothing left out"."""


def _known(bench: Bench, claim: Mapping[str, Any]) -> Known:
    """What its run says about the claim; NotYet when it has no number with an interval."""
    row = _row(bench, claim)
    if FIGURE.search(row.ratio):
        known = Known(row.side, row.statement, row.ratio, row.interval, row.verdict.value, void=False)
    else:
        ratio, _, rest = row.with_void.partition(" (")
        interval, _, verdict = rest.rpartition("), ")
        known = Known(row.side, row.statement, ratio, interval, verdict, void=True)
    bench.expect(
        FIGURE.search(known.ratio) and FIGURE.search(known.interval),
        did=_did(claim),
        expected="a number with an interval",
        got=f"{known.ratio or 'no number'}, {known.interval or 'no interval'}",
        why="This run cannot tell. Take another claim, or let the lab run longer.",
        look=f"{_text(claim, 'run')}/report.html",
    )
    return known


def _row(bench: Bench, claim: Mapping[str, Any]) -> Row:
    """The claim's row in the ledger of its run, computed from the raw files; NotYet when there is none."""
    run = _text(claim, "run")
    folder = bench.workspace / run
    bench.expect(
        run and (folder / "run.json").is_file(),
        did=f"looked for the run of the claim {_text(claim, 'claim')!r}",
        expected='run = "evidence/…", a folder of the workspace with a run of the lab',
        got=repr(claim.get("run")),
        why="A claim without its run cannot be checked by anybody, also not by you in a year.",
        look=f"{BILL}; copy the run's folder from runs/ to evidence/",
    )
    found = _run(bench, folder)
    bench.expect(
        found.notes.get("shops", {}).get("microservices"),
        did=f"read {run}/run.json",
        expected="a run with your shop: loadtests run NAME --microservices",
        got="a run with the shops of this repository",
        why="What another shop costs is no claim about yours.",
        look="README: 1. Write the bill",
    )
    rows = {(row.experiment, row.claim): row for row in ledger(found.results, found.experiments)}
    wanted = (_text(claim, "experiment"), _text(claim, "claim"))
    bench.expect(
        wanted in rows,
        did=f"looked for {wanted[1]!r} of the experiment {wanted[0]!r} in {run}",
        expected="one of " + "; ".join(f"{experiment}: {name}" for experiment, name in rows),
        got=": ".join(wanted),
        why="A claim that was written down before the run cannot be chosen by its result.",
        look=f"{run}/report.html",
    )
    return rows[wanted]


def _run(bench: Bench, folder: Path) -> FinishedRun:
    try:
        return _read(bench, folder)
    except (RunError, OSError, ValueError, KeyError, EOFError) as error:
        raise bench.not_yet(
            did=f"read the raw files in {folder.relative_to(bench.workspace)}",
            expected="run.json, experiments/ and trials/, as the lab wrote them",
            got=error,
            why="The report can be made again from the raw files, but not the raw files from the report.",
            look="copy the whole folder of the run",
        ) from error


@cache
def _read(_bench: Bench, folder: Path) -> FinishedRun:
    return read_run(folder)


def _number(row: Known) -> tuple[float, str]:
    """The number as the report shows it, and at_least or at_most when it is only a bound."""
    bound = "at_least" if "≥" in row.ratio else "at_most" if "≤" in row.ratio else ""
    return _figures(row.ratio)[0], bound


def _figures(text: str) -> list[float]:
    return [float(each.replace(",", "")) for each in FIGURE.findall(text)]


def _same(given: Any, known: float) -> bool:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return is_number and abs(given - known) <= ROUNDED * max(1.0, abs(known))


# ---- the copy


def _copy(bench: Bench) -> Path:
    folder = bench.workspace / COPY
    bench.expect(
        (folder / "topology.py").is_file() and (folder / MONOLITH).is_dir(),
        did=f"looked for the folder {COPY}",
        expected="a copy of your shop: monolith, microservices, topology.py and all that they need",
        got="none" if not folder.exists() else "no topology.py or no monolith in it",
        why="Two shops side by side can be counted and compared.",
        look="README: 3. Merge it back",
    )
    return folder


def _merged(bench: Bench) -> Shop:
    return _booted(bench, _copy(bench))[1]


@cache
def _booted(bench: Bench, folder: Path) -> tuple[AbstractContextManager[Shop], Shop]:
    """The shop in the copy. It runs until the bench is closed; without its context manager it would end."""
    manager = bench.boot(folder)
    return manager, manager.__enter__()  # type: ignore[no-any-return]


def _counted(bench: Bench, shop: Shop) -> dict[str, int]:
    """How many calls a product page and a checkout wait for."""
    sku = _sku(bench, shop)
    _set_stock(bench, shop, sku, 100)
    someone = _buyer(bench, shop, sku)

    def page() -> Answer:
        return someone.ask("GET", f"/products/{sku}")

    def checkout() -> Answer:
        return _check_out(bench, someone)

    counts: dict[str, list[int]] = {"page": [], "checkout": []}
    for _ in range(MEASURED):
        _put(bench, someone, sku)
        for name, ask in (("page", page), ("checkout", checkout)):
            before = _answered(shop)
            answer = ask()
            bench.expect(
                answer.status in {200, 201},
                expected="200 or 201",
                got=answer,
                why="Its calls are to be counted.",
                look="the log below",
            )
            counts[name].append(round(_answered(shop) - before))
    return {name: min(each) for name, each in counts.items()}


def _answered(shop: Shop) -> float:
    """How many calls the services have answered so far."""
    total = 0.0
    with new_session() as session:
        for name in WAITED_FOR:
            for replica in shop.fleet.replicas(name) if _has(shop, name) else ():
                try:
                    text = session.get(f"http://127.0.0.1:{replica.port}/metrics", timeout=5).text
                except requests.RequestException:
                    continue
                total += sum(map(float, CALLS.findall(text)))
    return total


def _has(shop: Shop, name: str) -> bool:
    return any(label.startswith(f"{name}-") for label in shop.names())


def _calls_in_words(counted: Mapping[str, Mapping[str, int]]) -> str:
    before, after = counted["before"], counted["after"]
    return ", ".join(f"{what}: {before[what]} calls before, {after[what]} after" for what in before)


# ---- data that moves


@dataclass(frozen=True)
class Moving:
    """Copies of both databases, of which one is to be filled from the other."""

    ours: Path
    theirs: Path
    env: Mapping[str, str]
    folder: Path

    def bring_back(self, bench: Bench) -> Ran:
        """Run the learner's program."""
        return bench.run(*BACK, str(self.theirs), folder=self.folder, env=dict(self.env))


def _moving(bench: Bench) -> Moving:
    shop, folder = bench.shop(), _copy(bench)
    home = Path(mkdtemp(dir=scratch()))
    files = {name: home / f"{name}.sqlite3" for name in (MONOLITH, SERVICE)}
    for name, file in files.items():
        with (
            closing(sqlite3.connect(shop.database(name))) as source,
            closing(sqlite3.connect(file)) as target,
        ):
            source.backup(target)
    env = {
        **shop.environment(MONOLITH),
        "SHOP_HOME": str(home),
        "SHOP_DATABASE_URL": sqlite_url(files[MONOLITH]),
    }
    return Moving(files[MONOLITH], files[SERVICE], env, folder)


def _stock(file: Path) -> dict[str, tuple[int, int, int]]:
    """What was received, is available and was sold, by SKU; empty when there is no such table."""
    try:
        with closing(sqlite3.connect(file)) as db:
            return {
                sku: numbers
                for sku, *numbers in db.execute("SELECT sku, received, available, sold FROM stock")  # type: ignore[misc]
            }
    except sqlite3.Error:
        return {}


def _others(file: Path) -> dict[str, list[Any]]:
    """The rows of all tables but the stock's and the saga's."""
    with closing(sqlite3.connect(file)) as db:
        names = [name for (name,) in db.execute(TABLES) if name not in {"stock", "unfinished_checkouts"}]
        return {name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608


def _expect_stock(bench: Bench, moved: Moving, wanted: Mapping[str, Any], also: str) -> None:
    found = _stock(moved.ours)
    wrong = sorted(sku for sku in wanted.keys() | found.keys() if wanted.get(sku) != found.get(sku))
    bench.expect(
        not wrong,
        did=f"brought the stock of {len(wanted)} products back, {also}, and compared it row by row: received, "
        "available and sold",
        expected=f"for {wrong[0]}: {wanted.get(wrong[0])}" if wrong else "",
        got=f"{found.get(wrong[0])}; {len(wrong)} products differ" if wrong else "",
        why="What is lost or taken back in a move is noticed at the next count, and nobody knows from when it is.",
        look=f"{COPY}/monolith/inventory/bring_back.py",
    )


def _reserved(bench: Bench, moved: Moving) -> Callable[[], bool]:
    """Pieces are reserved for an order that does not exist; returns whether they are for sale again."""
    sku = bench.random.choice(sorted(sku for sku, stock in _stock(moved.theirs).items() if stock[1] > 1))
    wanted, order = _stock(moved.theirs)[sku], _key(bench)
    with closing(sqlite3.connect(moved.theirs)) as db, db:
        db.execute(
            "UPDATE stock SET available = available - 1, reserved = reserved + 1 WHERE sku = ?", (sku,)
        )
        db.execute("INSERT INTO reservations (order_id, status) VALUES (?, 'reserved')", (order,))
        db.execute("INSERT INTO reserved_lines (order_id, sku, quantity) VALUES (?, ?, 1)", (order, sku))
    return lambda: _stock(moved.ours).get(sku) == wanted


def _confirmed(bench: Bench, moved: Moving) -> Callable[[], bool]:
    """An order is confirmed, and its pieces are not yet sold; returns whether they are."""
    query = "SELECT id, sku, quantity FROM order_lines JOIN orders ON number = order_number ORDER BY number DESC, sku"
    stock = _stock(moved.theirs)
    with closing(sqlite3.connect(moved.ours)) as db, db:
        order, sku, pieces = next(row for row in db.execute(query) if stock[row[1]][2] >= row[2])
        db.execute(
            "INSERT INTO unfinished_checkouts (order_id, customer_id, key, step, lease_until) "
            "SELECT id, customer_id, ?, 'confirmed', 0 FROM orders WHERE id = ?",
            (_key(bench), order),
        )
    with closing(sqlite3.connect(moved.theirs)) as db, db:
        db.execute(
            "UPDATE stock SET sold = sold - ?, reserved = reserved + ? WHERE sku = ?", (pieces, pieces, sku)
        )
        db.execute("DELETE FROM reserved_lines WHERE order_id = ?", (order,))
        db.execute("DELETE FROM reservations WHERE order_id = ?", (order,))
        db.execute("INSERT INTO reservations (order_id, status) VALUES (?, 'reserved')", (order,))
        db.execute(
            "INSERT INTO reserved_lines (order_id, sku, quantity) VALUES (?, ?, ?)", (order, sku, pieces)
        )
    return lambda: _stock(moved.ours).get(sku) == stock[sku]


def _begun(bench: Bench, moved: Moving) -> Callable[[], bool]:
    """A checkout has begun and reserved nothing; returns whether its key is free or has an answer."""
    key, order = _key(bench), _key(bench)
    with closing(sqlite3.connect(moved.ours)) as db, db:
        db.execute(
            "INSERT INTO idempotency_keys (customer_id, key, fingerprint) VALUES ('of-the-check', ?, '')",
            (key,),
        )
        db.execute(
            "INSERT INTO unfinished_checkouts (order_id, customer_id, key, step, lease_until) "
            "VALUES (?, 'of-the-check', ?, 'begun', 0)",
            (order, key),
        )

    def finished() -> bool:
        query = "SELECT count(*) FROM idempotency_keys WHERE key = ? AND status IS NULL"
        with closing(sqlite3.connect(moved.ours)) as db:
            return not db.execute(query, (key,)).fetchone()[0]

    return finished


def _last_line(ran: Ran) -> str:
    lines = [line for line in f"{ran.out}\n{ran.err}".splitlines() if line.strip()]
    return f"exit status {ran.status}: {lines[-1] if lines else 'nothing printed'}"


# ---- customers


def _skus(bench: Bench, shop: Shop, count: int) -> list[str]:
    answer = shop.ask("GET", "/api/products?page_size=100")
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    skus = [item["sku"] for item in items or [] if isinstance(item, dict) and "sku" in item]
    bench.expect(
        len(skus) >= count,
        expected="products",
        got=answer,
        why="The checks choose their products from this list.",
        look="Caddyfile; topology.py: SEED",
    )
    return bench.random.sample(skus, count)


def _sku(bench: Bench, shop: Shop) -> str:
    return _skus(bench, shop, 1)[0]


@cache
def _admin(shop: Shop) -> Visitor:
    return shop.admin()


def _set_stock(bench: Bench, shop: Shop, sku: str, pieces: int) -> None:
    answer = _admin(shop).ask("PUT", f"/api/inventory/{sku}", json={"available": pieces})
    bench.expect(
        answer.status == 200,
        expected="200: the administrator may set the stock",
        got=answer,
        why="Who answers for the stock has changed, and nothing else.",
        look="Caddyfile; monolith/inventory/routes.py; monolith/app.py",
    )


def _buyer(bench: Bench, shop: Shop, sku: str) -> Visitor:
    """A new customer with one piece in the cart."""
    someone = shop.customer()
    _put(bench, someone, sku)
    return someone


def _put(bench: Bench, someone: Visitor, sku: str) -> None:
    answer = someone.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})
    bench.expect(
        answer.status == 200,
        expected="200 and the cart",
        got=answer,
        why="A product that the shop has can be put into the cart.",
        look="monolith/cart",
    )


def _key(bench: Bench) -> str:
    return f"check-{bench.random.getrandbits(64):016x}"


def _check_out(bench: Bench, someone: Visitor, key: str = "") -> Answer:
    headers = {"Idempotency-Key": key or _key(bench)}
    return someone.try_ask("POST", "/api/orders", json={"card_number": APPROVED}, headers=headers)


def _bought(bench: Bench, shop: Shop, sku: str) -> None:
    """Buy a piece; the pieces of a finished checkout are sold when it is answered, or a moment later."""
    answer = _check_out(bench, _buyer(bench, shop, sku))
    bench.expect(
        answer.status == 201,
        did=f"bought a piece of {sku} in your shop",
        expected="201",
        got=answer,
        why="What is moved should be data that was used.",
        look="monolith/orders/checkout.py",
    )
    file = shop.database(MONOLITH)

    def settled() -> bool:
        with closing(sqlite3.connect(file, timeout=10)) as db:
            return not db.execute("SELECT count(*) FROM unfinished_checkouts").fetchone()[0]

    bench.wait_until(settled, 20, "checkouts that are finished")


def _money_and_stock(bench: Bench, shop: Shop, sku: str) -> tuple[int, int, int]:
    """What is available and sold of a product, and how many payments there are, in the monolith's database."""
    try:
        with closing(sqlite3.connect(shop.database(MONOLITH), timeout=10)) as db:
            available, sold = db.execute("SELECT available, sold FROM stock WHERE sku = ?", (sku,)).fetchone()
            (payments,) = db.execute("SELECT count(*) FROM payments").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise bench.not_yet(
            did=f"read the tables stock and payments of the monolith in {COPY}",
            expected=f"a row for {sku}, as before exercise 11",
            got=error,
            why="One transaction needs one database.",
            look=f"{COPY}/monolith/inventory/models.py; {COPY}/monolith/seed.py",
        ) from error
    return available, sold, payments


def _shown(numbers: Sequence[int]) -> str:
    available, sold, payments = numbers
    return f"{available} available, {sold} sold, {payments} payments"

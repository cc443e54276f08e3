"""14: two sides of a contract are deployed one at a time, under traffic, and no deploy needs another one."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import requests

from exercises.checks.checking import Answer, Bench, NotYet, Shop, Visitor, check
from microservices.launcher import LauncherError

CATALOG, MONOLITH, PRICE_LIST = "catalog", "monolith", "price-list"
FILES = {
    CATALOG: "microservices/catalog/internal.py",
    MONOLITH: "monolith/catalog/internal.py",
    PRICE_LIST: "price_list.py",
}
"""By side of the contract: the file that holds it."""
START = Path(__file__).parent / "start"
RELEASES, TODAY = "releases", "today"
NAME = re.compile(r"([1-9]\d*)-(catalog|monolith|price-list)")
INTERNAL, COUNTER = "/internal/products", "catalog_old_price_reads_total"
SAMPLE = re.compile(rf'^{COUNTER}\{{caller="([^"]*)"\}} (\S+)$', re.MULTILINE)
UNKNOWN = "GONE-1"
"""A SKU that no product has; the catalog leaves it out."""
UNAVAILABLE = "503 /problems/unavailable"
NO_WAY = ("/problems/bad-upstream", "the connection was", "nothing came")
"""What visitors get when the gateway finds no replica."""
ASKS_OLD, ASKS_OTHER, ASKS_NEW = "check-old/1.0 (today)", "check-other/1.0", "check-new/1.0"
"""Names of callers: one that does not say what it reads, one that reads `price` and says so, one that reads the new."""
CALLERS = (ASKS_OLD, ASKS_OTHER, ASKS_NEW)
TIMES = 3
"""Questions of each kind that the check itself asks after each deploy."""
APPROVED = "4242424242424242"
READERS, LINES, PAUSE_SECONDS = 3, 5, 0.03
SETTLED_ANSWERS, SETTLED_SECONDS, MAX_SETTLED_SECONDS = 20, 0.7, 6.0
FEW = 0.2
"""A machine that is busy makes some answers late. It makes no share like this one wrong after the deploy is over."""
ODD_PRICE = ('"price": f"{euros}.{cents:02}"', '"price": "0.01", "price_cents": item["price_cents"]')
"""A change of today's catalog: two prices that differ, so that one sees which of them is read."""
SLOTS, KNOCKS = 2, 8
INCOMING = "topology.py, Caddyfile, monolith/catalog: did you take over the .incoming files?"


# ---- task 1


@check("one-side-at-a-time", task="expand", shop=False)
def _(bench: Bench) -> None:
    """Each release changes one side of the contract, and they are numbered in the order of their deploys."""
    releases = _releases(bench)
    bench.expect(
        releases,
        did=f"looked into {RELEASES}/",
        expected="a release, such as 1-catalog",
        got="none",
        why="The checks deploy what is there, one release after the other.",
        look="release.py",
    )
    times = Counter(release.number for release in releases)
    for release in releases:
        bench.expect(
            times[release.number] == 1,
            did=f"looked into {RELEASES}/",
            expected=f"one release with the number {release.number}",
            got=", ".join(each.name for each in releases),
            why="The numbers are the order of the deploys.",
            look=f"{RELEASES}/",
        )
        bench.expect(
            release.paths == (FILES[release.side],),
            did=f"looked into {RELEASES}/{release.name}",
            expected=f"one side of the contract, {FILES[release.side]}",
            got=", ".join(release.paths) or "no file",
            why="Two sides in one release have to change in the same moment, and no two programs ever do.",
            look=f"{RELEASES}/{release.name}; release.py",
        )


@check("each-deploy-alone", task="expand", shop=False, load=True, seconds=90)
def _(bench: Bench) -> None:
    """Release after release is deployed under traffic, and no answer is wrong: no deploy waits for another one."""
    journey = _journey(bench)
    deploys = journey.deploys
    broken = [stretch for stretch in deploys if stretch.is_broken]
    bad = [stretch for stretch in deploys if stretch.failures]
    if bad and not broken and journey.busy > 1.0:
        raise bench.inconclusive(
            f"{sum(len(stretch.failures) for stretch in bad)} answers were wrong, all while replicas were replaced and "
            f"other programs used {journey.busy:.1f} cores"
        )
    answers = sum(stretch.answers for stretch in deploys)
    in_lockstep = f"{len(broken)} of {len(deploys)} deploys left something broken until another deploy"
    bench.expect(
        not bad,
        did=f"deployed {_listed(deploys)} under traffic, with rolling restarts, and ran the price list after each",
        expected="no wrong answer and a right price list at each deploy",
        got="; ".join(stretch.report for stretch in deploys) + f". {in_lockstep}",
        why="A deploy that needs another one in the same moment has errors between the two, and no way back.",
        look=_cause(bad),
    )
    bench.note(f"{len(deploys)} deploys, {answers:,} answers, none wrong; {in_lockstep}")


@check("old-as-before-new-beside-it", task="expand", shop=False, load=True, seconds=90)
def _(bench: Bench) -> None:
    """After the first release of the catalog, old callers get `price` as before, and new ones get `price_cents`."""
    journey = _journey(bench)
    expanded = _first(bench, journey, CATALOG)
    today = journey.stretches[0].seen_old
    for asked, items, wanted in (
        ("", expanded.seen_old, today),
        ("&reads=price_cents", expanded.seen_new, [journey.in_cents(item) for item in today]),
    ):
        got = [{name: item.get(name) for name in wanted[0]} for item in items]
        pairs = zip_longest(wanted, got, fillvalue="no product in this place")
        want, have = next(((want, have) for want, have in pairs if repr(want) != repr(have)), ("", ""))
        bench.expect(
            not want and not have,
            did=f"deployed {expanded.what} and asked GET {INTERNAL}?sku={','.join(journey.prices)},{UNKNOWN}{asked}",
            expected=f"these members, among others: {want}",
            got=have,
            why="An expanded contract has all that was in it before, unchanged, and something new.",
            look=f"{RELEASES}/{expanded.what}",
        )


@check("old-reads-are-counted", task="expand", shop=False, load=True, seconds=90)
def _(bench: Bench) -> None:
    """The catalog counts who still reads `price`; when `price` goes, nobody is counted any more."""
    journey = _journey(bench)
    _first(bench, journey, CATALOG)
    # The catalog may have been expanded in two releases; the last one with both forms counts.
    expanded = [each for each in journey.deploys if each.has_old and each.now[CATALOG] != TODAY]
    counted = expanded[-1].counted if expanded else {}
    asked = {name: counted.get(name, 0.0) for name in CALLERS}
    bench.expect(
        asked == {ASKS_OLD: TIMES, ASKS_OTHER: TIMES, ASKS_NEW: 0.0},
        did=f"deployed {_listed(expanded)}, asked GET {INTERNAL} {TIMES} times as {ASKS_OLD}, as {ASKS_OTHER} with "
        f"reads=price, and as {ASKS_NEW} with reads=price_cents, and read /metrics before and after",
        expected=f'{COUNTER}{{caller="{ASKS_OLD}"}} to grow by {TIMES}, the one of {ASKS_OTHER} too, and none for '
        f"{ASKS_NEW}",
        got=", ".join(f"{name} {number:+g}" for name, number in counted.items()) or "no such counter",
        why="Nobody sees in an answer which of its fields are read. Callers have to say so, and the service to count.",
        look=f"{RELEASES}/: the releases of the catalog",
    )
    contracted = next((stretch for stretch in journey.deploys if not stretch.has_old), None)
    before = journey.before(contracted) if contracted else None
    if before:
        left = {name: number for name, number in before.counted.items() if number and name not in CALLERS}
        bench.expect(
            not left,
            did=f"read the counter under traffic before {contracted.what if contracted else ''} was deployed",
            expected="a counter that stands still: every caller says reads=price_cents",
            got=", ".join(f"{name} {number:+g}" for name, number in left.items()),
            why="As long as it grows, somebody may need what you are about to delete. The counter says who.",
            look=f"{RELEASES}/: which release moves this caller?",
        )
    grew = "; ".join(f"{stretch.what}: {_readers(stretch)}" for stretch in journey.deploys if stretch.has_old)
    bench.note(f"callers that read the old form: {grew}")


# ---- task 2


@check("four-pairs", task="migrate", shop=False, load=True, seconds=90)
def _(bench: Bench) -> None:
    """Old and new monolith work with old and new catalog, so each of the two can be rolled back alone."""
    journey = _journey(bench)
    _first(bench, journey, CATALOG)
    _first(bench, journey, MONOLITH)
    for caller, service in journey.four:
        stretch = journey.pair(caller, service)
        answers = [*stretch.during, *stretch.after]
        wrong = [text for text in answers if text]
        if wrong and not stretch.is_broken and journey.busy > 1.0:
            raise bench.inconclusive(
                f"{len(wrong)} answers were wrong while other programs used {journey.busy:.1f} cores"
            )
        bench.expect(
            not wrong,
            did=f"ran the monolith of {caller} with the catalog of {service}, as after a rollback of one of the two",
            expected=f"no wrong answer of {len(answers)}",
            got=f"{len(wrong)}, such as {wrong[0] if wrong else ''}",
            why="A side that cannot go back alone was not deployed alone: its way back needs the other team.",
            look=_released(CATALOG, service) if caller == TODAY else _released(MONOLITH, caller),
        )
    odd = [text for text in journey.odd.after if "costs 1 cents" in text] if journey.odd else []
    bench.expect(
        not odd,
        did=f"ran the monolith of {journey.four[-1][0]} with a catalog of which only `price_cents` is right",
        expected="the price from `price_cents`",
        got=odd[0] if odd else "",
        why="A reader that says reads=price_cents and takes `price` was not moved.",
        look=_released(MONOLITH, journey.four[-1][0]),
    )
    bench.note(
        ", ".join(
            f"{caller} with {service}: 0 of {journey.pair(caller, service).answers} wrong"
            for caller, service in journey.four
        )
    )


def _released(side: str, release: str) -> str:
    """The file of a release."""
    return f"{RELEASES}/{release}/{FILES[side]}"


# ---- task 3


@check("the-old-form-is-gone", task="contract", shop=False, load=True, seconds=90)
def _(bench: Bench) -> None:
    """After the last release neither side has `price` any more, and the workspace is what was released."""
    journey = _journey(bench)
    last = journey.deploys[-1]
    bench.expect(
        not last.has_old and not any("price" in item for item in last.seen_new),
        did=f"deployed {_listed(journey.deploys)} and asked GET {INTERNAL}",
        expected="products without `price`",
        got=_shown([item for item in [*last.seen_old, *last.seen_new] if "price" in item]),
        why="A field that is never removed is one that nobody may ever change again.",
        look="the last release of the catalog",
    )
    bench.expect(
        not last.has_counter,
        did=f"deployed {_listed(journey.deploys)} and read /metrics",
        expected=f"no {COUNTER}: nobody can read what is gone",
        got=", ".join(f"{name} {number:+g}" for name, number in last.counted.items())
        or "its name, without a number",
        why="A counter of something that cannot happen makes others look for it.",
        look="the last release of the catalog",
    )
    alone = journey.last_reader
    right = [text for text in alone.after if UNAVAILABLE not in text] if alone else []
    bench.expect(
        alone is not None and not right,
        did=f"ran the monolith of {journey.now[MONOLITH]} with today's catalog, which has only `price`",
        expected="a monolith that does not read `price` any more, so carts answer 503 here",
        got=f"{len(right)} other answers: "
        + next(filter(None, right), "carts with prices, so it still reads `price`"),
        why="Code for a case that cannot occur any more is tested by nobody, until it runs by mistake.",
        look="the last release of the monolith",
    )
    for side, path in FILES.items():
        bench.expect(
            bench.text(path) == journey.texts[side],
            did=f"compared {path} with the last release of it",
            expected="the same file",
            got=f"another one than in {journey.now[side]}",
            why="What runs is what was released.",
            look=f"python release.py {side}, or copy the file back",
        )


@check("the-shop-in-cents", task="contract")
def _(bench: Bench) -> None:
    """In your shop the catalog's internal answer has the price in cents, and only that."""
    shop = bench.shop()
    prices = _prices(bench, shop, LINES)
    items = _asked(shop, prices, {"User-Agent": ASKS_NEW}, {})
    got = {item.get("sku"): (item.get("price_cents"), "price" in item) for item in items}
    bench.expect(
        got == {sku: (cents, False) for sku, cents in prices.items()},
        did=f"asked the catalog of your shop: GET {INTERNAL}?sku={','.join(prices)}",
        expected="price_cents as in the public API, and no `price`",
        got=_shown(items),
        why="The workspace is the shop after the last release.",
        look=FILES[CATALOG],
    )


# ---- releases


@dataclass(frozen=True)
class Release:
    """One folder of releases/."""

    number: int
    side: str
    name: str
    paths: tuple[str, ...]
    text: str
    """Of the side's file; empty without one."""


def _releases(bench: Bench) -> list[Release]:
    """The releases by number; NotYet for a folder with a name that says no number and side."""
    found = []
    for folder in (bench.workspace / RELEASES).glob("[!.]*"):
        match = NAME.fullmatch(folder.name)
        if match is None or not folder.is_dir():
            raise bench.not_yet(
                did=f"looked into {RELEASES}/",
                expected=f"folders such as 1-catalog, with one of {', '.join(FILES)} in the name",
                got=folder.name,
                why="The number is the order of the deploys, and the rest says what is deployed.",
                look=f"{RELEASES}/{folder.name}",
            )
        files = [file for file in sorted(folder.rglob("[!.]*")) if file.is_file() and file.suffix != ".pyc"]
        paths = tuple(file.relative_to(folder).as_posix() for file in files)
        target = folder / FILES[match[2]]
        text = target.read_text(encoding="utf-8", errors="replace") if target.is_file() else ""
        found.append(Release(int(match[1]), match[2], folder.name, paths, text))
    return sorted(found, key=lambda release: (release.number, release.name))


# ---- the journey from today's release to the last one


@dataclass
class Stretch:
    """One deploy, or one way back, with what was answered meanwhile. A wrong answer is a text, a right one is ""."""

    what: str
    """The release, or "today"."""
    now: dict[str, str]
    """By side: the release that runs after it."""
    is_deploy: bool
    during: list[str] = field(default_factory=list)
    """Answers while replicas were replaced."""
    after: list[str] = field(default_factory=list)
    """Answers when it was over."""
    price_list: str = ""
    """What is wrong with the price list after it."""
    seen_old: list[dict[str, Any]] = field(default_factory=list)
    seen_new: list[dict[str, Any]] = field(default_factory=list)
    """The catalog's products, for a caller that does not say what it reads and for one that reads price_cents."""
    counted: dict[str, float] = field(default_factory=dict)
    """By caller: how much the counter of old reads grew after the deploy."""
    has_counter: bool = False
    """Whether the metrics name the counter."""

    @property
    def answers(self) -> int:
        """How many answers customers got."""
        return len(self.during) + len(self.after)

    @property
    def failures(self) -> list[str]:
        """Everything that went wrong."""
        return [text for text in [*self.during, *self.after, self.price_list] if text]

    @property
    def is_broken(self) -> bool:
        """Whether it left something broken: a machine that is busy is no explanation for it."""
        wrong = sum(map(bool, self.after))
        return bool(self.price_list) or wrong > FEW * len(self.after)

    @property
    def has_old(self) -> bool:
        """Whether callers that do not say what they read get `price`."""
        return any("price" in item for item in self.seen_old)

    @property
    def report(self) -> str:
        """The numbers, with the first failure."""
        wrong_then, wrong_after = sum(map(bool, self.during)), sum(map(bool, self.after))
        text = f"{self.what}: wrong were {wrong_then} of {len(self.during)} answers during the restart"
        text += f" and {wrong_after} of {len(self.after)} after it"
        first = next(filter(None, [*self.during, *self.after]), "")
        text += f" ({first})" if first else ""
        return text + (f", price list: {self.price_list}" if self.price_list else "")


@dataclass
class Journey:
    """All deploys, and the ways back between them."""

    prices: dict[str, int]
    """In cents, by SKU."""
    now: dict[str, str]
    texts: dict[str, str]
    """By side: its release, and the file's text."""
    stretches: list[Stretch] = field(default_factory=list)
    four: tuple[tuple[str, str], ...] = ()
    """The four pairs of a monolith and a catalog."""
    odd: Stretch | None = None
    """The first new monolith with a catalog whose `price` is another one than its `price_cents`."""
    last_reader: Stretch | None = None
    """The last monolith with today's catalog; None when the catalog still has `price`."""
    busy: float = 0.0

    @property
    def deploys(self) -> list[Stretch]:
        return [stretch for stretch in self.stretches if stretch.is_deploy]

    def in_cents(self, item: dict[str, Any]) -> dict[str, Any]:
        """A product as the catalog of today gives it, with the new price instead of the old one."""
        kept = {name: value for name, value in item.items() if name != "price"}
        return {**kept, "price_cents": self.prices[item["sku"]]}

    def before(self, stretch: Stretch) -> Stretch | None:
        """What ran before a deploy."""
        earlier = self.stretches[: self.stretches.index(stretch)]
        return earlier[-1] if earlier else None

    def pair(self, caller: str, service: str) -> Stretch:
        """The first stretch in which these two ran."""
        wanted = (caller, service)
        return next(each for each in self.stretches if (each.now[MONOLITH], each.now[CATALOG]) == wanted)


_journeys: WeakKeyDictionary[Bench, Journey | NotYet] = WeakKeyDictionary()


def _journey(bench: Bench) -> Journey:
    """The journey of this run, made once. NotYet, each time, when a release does not start."""
    if bench not in _journeys:
        try:
            _journeys[bench] = _make_journey(bench)
        except NotYet as error:
            _journeys[bench] = error
    found = _journeys[bench]
    if isinstance(found, NotYet):
        raise found
    return found


def _make_journey(bench: Bench) -> Journey:
    releases = _releases(bench)
    bench.expect(
        releases and all(release.text for release in releases),
        did=f"looked into {RELEASES}/",
        expected=f"releases, each with the file of its side: {', '.join(FILES.values())}",
        got=", ".join(f"{each.name} with {', '.join(each.paths) or 'no file'}" for each in releases)
        or "none",
        why="The checks deploy what is there, one release after the other.",
        look=f"{RELEASES}/; release.py",
    )
    texts = {side: (START / path).read_text(encoding="utf-8") for side, path in FILES.items()}
    folder = bench.copy({FILES[side]: text for side, text in texts.items()})
    with bench.boot(folder) as shop:
        _expect_room(bench, shop)
        journey = Journey(_set_prices(bench, shop), dict.fromkeys(FILES, TODAY), texts)
        rig = Rig(bench, shop, journey)
        with rig.visitors.coming():
            rig.observe(Stretch(TODAY, dict(journey.now), is_deploy=False))
            _expect_today(bench, journey)
            for release in releases:
                rig.deploy(release.side, release.name, release.text)
                both = CATALOG in rig.released and MONOLITH in rig.released
                if both and not journey.four:
                    rig.visit_four_pairs()
            if not journey.deploys[-1].has_old:
                journey.last_reader = rig.last_reader_with_todays_catalog()
    journey.busy = bench.busy()
    return journey


class Rig:
    """Deploys into a copy of the workspace that runs under traffic."""

    def __init__(self, bench: Bench, shop: Shop, journey: Journey) -> None:
        self.bench, self.shop, self.journey = bench, shop, journey
        self.visitors = Visitors(bench, shop, journey.prices)
        self.released: dict[str, str] = {}
        self.today = dict(journey.texts)

    def deploy(self, side: str, name: str, text: str) -> None:
        """Deploy a release, and look at what it does."""
        self.released[side] = name
        self.journey.texts[side] = text
        self._run(side, name, text, is_deploy=True)

    def visit_four_pairs(self) -> None:
        """Roll one side back, for the pair that did not run before, and see which of two prices is read."""
        now, texts = self.journey.now.copy(), self.journey.texts
        caller, service = now[MONOLITH], now[CATALOG]
        self.journey.four = ((TODAY, TODAY), (TODAY, service), (caller, TODAY), (caller, service))
        ran = {(each.now[MONOLITH], each.now[CATALOG]) for each in self.journey.stretches}
        if (TODAY, service) not in ran:
            self._run(MONOLITH, TODAY, self.today[MONOLITH], is_deploy=False)
            self._run(MONOLITH, caller, texts[MONOLITH], is_deploy=False)
        if (caller, TODAY) not in ran:
            self._run(CATALOG, TODAY, self.today[CATALOG], is_deploy=False)
        odd = self.today[CATALOG].replace(*ODD_PRICE)
        self.journey.odd = self._run(CATALOG, "odd", odd, is_deploy=False)
        self._run(CATALOG, service, texts[CATALOG], is_deploy=False)
        self._recover()

    def last_reader_with_todays_catalog(self) -> Stretch:
        """What the last monolith makes of the catalog's first form."""
        now = self.journey.now.copy()
        found = self._run(CATALOG, TODAY, self.today[CATALOG], is_deploy=False)
        self.journey.now = now
        return found

    def _recover(self) -> None:
        """Wait some seconds at most: a breaker that opened on a way back must not count against the next deploy."""
        deadline = time.monotonic() + MAX_SETTLED_SECONDS
        while (
            any(wrong for _, wrong in self.visitors.answers[-SETTLED_ANSWERS:])
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)

    def observe(self, stretch: Stretch) -> Stretch:
        """Let visitors go on for a moment, and ask as two callers; then the stretch is complete."""
        began, before = time.monotonic(), _counted(_metrics(self.shop))
        for _ in range(TIMES):
            skus = self.journey.prices
            stretch.seen_old = _asked(self.shop, skus, {"User-Agent": ASKS_OLD}, {})
            _asked(self.shop, skus, {"User-Agent": ASKS_OTHER}, {"reads": "price"})
            stretch.seen_new = _asked(self.shop, skus, {"User-Agent": ASKS_NEW}, {"reads": "price_cents"})
        stretch.price_list = self._price_list()
        while True:
            stretch.after = self.visitors.since(began)
            waited = time.monotonic() - began
            enough = waited > SETTLED_SECONDS and len(stretch.after) >= SETTLED_ANSWERS
            if enough or waited > MAX_SETTLED_SECONDS:
                break
            time.sleep(0.02)
        texts = list(_metrics(self.shop))
        after = _counted(texts)
        stretch.counted = {name: number - before.get(name, 0.0) for name, number in after.items()}
        stretch.has_counter = any(COUNTER in text for text in texts)
        self.journey.stretches.append(stretch)
        return stretch

    def _run(self, side: str, name: str, text: str, *, is_deploy: bool) -> Stretch:
        file = self.shop.folder / FILES[side]
        file.write_text(text, encoding="utf-8")
        self.journey.now[side] = name
        began = time.monotonic()
        if side != PRICE_LIST:
            try:
                self.shop.fleet.restart(side)
            except LauncherError as error:
                raise self.bench.not_yet(
                    did=f"deployed {RELEASES}/{name}",
                    expected="a process that starts",
                    got=str(error).partition("\n")[0],
                    why="The old replica still answers, but nothing can be said about the release.",
                    look=f"{RELEASES}/{name}: " + " ".join(str(error).splitlines()[-1:]),
                ) from error
        ended = time.monotonic()
        stretch = self.observe(Stretch(name, dict(self.journey.now), is_deploy))
        stretch.during = self.visitors.since(began, ended)
        return stretch

    def _price_list(self) -> str:
        """What is wrong with the price list that accounting would print now."""
        prices = self.journey.prices
        ran = self.bench.run(
            FILES[PRICE_LIST],
            *prices,
            folder=self.shop.folder,
            env={"SHOP_CATALOG_URL": _internal(self.shop)},
        )
        if ran.status:
            return (ran.err.strip().splitlines() or [f"exit status {ran.status}"])[-1]
        printed, expected = ran.out.split("\n"), [f"{sku},{_euros(cents)}" for sku, cents in prices.items()]
        pairs = zip(expected, [*printed, *[""] * len(expected)], strict=False)
        return next((f"printed {have!r} instead of {want!r}" for want, have in pairs if want != have), "")


# ---- traffic


class Visitors:
    """Customers who look at products and carts, change them and buy; each answer is noted by when it was asked for."""

    def __init__(self, bench: Bench, shop: Shop, prices: dict[str, int]) -> None:
        self.prices, self.skus, self.seed = prices, list(prices), bench.seed
        self.answers: list[tuple[float, str]] = []
        self.stopped = threading.Event()
        self.buyer, self.readers = shop.customer(), [shop.customer() for _ in range(READERS)]
        for reader in self.readers:
            for sku in self.skus:
                self._expect_cart(bench, self._put(reader, sku), sku)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """They come while the block runs."""
        with ThreadPoolExecutor(READERS + 1) as pool:
            for reader in self.readers:
                pool.submit(self._read, reader)
            pool.submit(self._buy)
            try:
                yield
            finally:
                self.stopped.set()

    def since(self, began: float, ended: float = float("inf")) -> list[str]:
        """What was wrong with each answer that was asked for in this time; "" for a right one."""
        return [wrong for at, wrong in list(self.answers) if began <= at < ended]

    def _read(self, reader: Visitor) -> None:
        turn = 0
        while not self.stopped.wait(PAUSE_SECONDS):
            turn += 1
            sku = self.skus[turn // 4 % len(self.skus)]
            if turn % 4 == 0:
                put = self._put(reader, sku)
                self._note(f"PUT /api/cart/items/{sku}", put, _wrong(put, self.prices))
            elif turn % 8 == 1:
                page = reader.try_ask("GET", f"/products/{sku}")
                self._note(f"GET /products/{sku}", page, _wrong_page(page, self.prices[sku]))
            else:
                cart = reader.try_ask("GET", "/api/cart")
                self._note("GET /api/cart", cart, _wrong(cart, self.prices))

    def _buy(self) -> None:
        turn = 0
        while not self.stopped.wait(4 * PAUSE_SECONDS):
            turn += 1
            sku = self.skus[turn % len(self.skus)]
            wanted = {sku: self.prices[sku]}
            put = self._put(self.buyer, sku)
            self._note(f"PUT /api/cart/items/{sku}", put, _wrong(put, wanted))
            if put.status == requests.codes.ok:
                key = {"Idempotency-Key": f"check-{self.seed}-{turn}"}
                card = {"card_number": APPROVED}
                order = self.buyer.try_ask("POST", "/api/orders", json=card, headers=key)
                self._note("POST /api/orders", order, _wrong(order, wanted))
                if order.status == requests.codes.created:
                    empty = self.buyer.try_ask("GET", "/api/cart")
                    self._note("GET /api/cart, an empty one", empty, _wrong(empty, {}))

    def _put(self, someone: Visitor, sku: str) -> Answer:
        return someone.try_ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})

    def _note(self, what: str, answer: Answer, wrong: str) -> None:
        sent = time.monotonic() - answer.seconds
        self.answers.append((sent, f"{what}: {wrong}" if wrong else ""))

    def _expect_cart(self, bench: Bench, answer: Answer, sku: str) -> None:
        wrong = _wrong(answer, {sku: self.prices[sku]})
        bench.expect(
            not wrong,
            did=f"began with the contract as it is today, in a copy of your workspace: {answer.curl}",
            expected="200 and the cart",
            got=wrong,
            why="Before anything is deployed, today's two sides must work together.",
            look=INCOMING,
        )


def _wrong(answer: Answer, wanted: dict[str, int]) -> str:
    """What is wrong with a cart or an order that has these products at these prices; "" when it is right."""
    body = answer.json()
    body = body if isinstance(body, dict) else {}
    if body.get("type") == "/problems/out-of-stock":
        return ""
    if answer.status not in {200, 201}:
        return f"{answer.status} {body.get('type', '')}".strip() if answer.status else answer.text
    listed = body.get("items")
    items = listed if isinstance(listed, list) else []
    shown = {item.get("sku"): item for item in items if isinstance(item, dict)}
    for sku, cents in wanted.items():
        got = shown.get(sku, {}).get("unit_price_cents")
        if got != cents:
            return f"{answer.status}, and {sku} costs {got} cents instead of {cents}"
    return ""


def _wrong_page(page: Answer, cents: int) -> str:
    """What is wrong with the page of a product with this price."""
    if page.status != requests.codes.ok:
        return UNAVAILABLE if page.status == requests.codes.unavailable else str(page)
    shown = f"€{cents // 100:,}.{cents % 100:02}"
    return "" if shown in page.text else f"a page without {shown}"


# ---- the catalog


def _expect_room(bench: Bench, shop: Shop) -> None:
    """NotYet unless both services have a slot for a new replica, and the gateway sends nobody to the empty one."""
    for side in (CATALOG, MONOLITH):
        slots = shop.fleet.topology.service(side).slots
        bench.expect(
            slots >= SLOTS,
            did=f"read the slots of {side} in topology.py",
            expected=f"slots={SLOTS}: the new replica starts before the old one leaves",
            got=f"slots={slots}",
            why="With one slot, nobody answers while the replica is replaced.",
            look=INCOMING,
        )
    inside = shop.fleet.internal_ports
    doors = [f"{shop.url}/api/categories", f"{shop.url}/no-such-page"]
    doors += [f"http://127.0.0.1:{inside[side]}/healthz" for side in (CATALOG, MONOLITH)]
    for url in doors:
        statuses = {_status(url) for _ in range(KNOCKS)}
        bench.expect(
            not statuses & {0, requests.codes.bad_gateway},
            did=f"asked {KNOCKS} times, with one replica in two slots: GET {url}",
            expected="no 502: the proxies of both are pools with health checks, which leave the empty slot out",
            got=", ".join(map(str, sorted(statuses))),
            why="A deploy changes which slots are in use, and visitors must not notice.",
            look=INCOMING,
        )


def _status(url: str) -> int:
    """The status of a GET; 0 without an answer."""
    with requests.Session() as session, suppress(requests.RequestException):
        session.trust_env = False
        return session.get(url, timeout=10).status_code
    return 0


def _expect_today(bench: Bench, journey: Journey) -> None:
    """Inconclusive when answers are wrong before anything is deployed: then the machine is too slow for this check."""
    today = journey.stretches[0]
    if today.failures and bench.busy() > 1.0:
        raise bench.inconclusive(
            f"answers came too late before anything was deployed, and other programs used {bench.busy():.1f} cores"
        )
    bench.expect(
        not today.failures
        and [item.get("price") for item in today.seen_old] == list(map(_euros, journey.prices.values())),
        did=f"began with the contract as it is today, in a copy of your workspace, and asked GET {INTERNAL}",
        expected="carts with the right prices, and products with `price`",
        got=next(iter(today.failures), _shown(today.seen_old)),
        why="Before anything is deployed, today's two sides must work together.",
        look=INCOMING,
    )


def _set_prices(bench: Bench, shop: Shop) -> dict[str, int]:
    """New prices of some products.

    One is wrong by a cent after int(float(price) * 100), one ends with 0, and one has four digits before the point.
    """
    traps = [cents for cents in range(1001, 20_000) if int(float(_euros(cents)) * 100) != cents]
    new = [
        bench.random.choice(traps),
        10 * bench.random.randint(101, 2_000),
        bench.random.randint(100_000, 999_999),
    ]
    prices = {}
    admin = shop.admin()
    for number, sku in enumerate(_prices(bench, shop, LINES)):
        prices[sku] = new[number] if number < len(new) else bench.random.randint(1_001, 20_000)
        answer = admin.ask("PUT", f"/api/products/{sku}/price", json={"price_cents": prices[sku]})
        bench.expect(
            answer.status == requests.codes.ok,
            expected="200: the administrator may set prices",
            got=answer,
            why="The checks choose prices that show mistakes.",
            look="topology.py: reads_jwks",
        )
    return prices


def _prices(bench: Bench, shop: Shop, count: int) -> dict[str, int]:
    """Prices in cents of some products, by SKU, from the public API."""
    body: Any = shop.ask("GET", "/api/products?page_size=100").json()
    items = body.get("items", []) if isinstance(body, dict) else []
    found = {item["sku"]: item["price_cents"] for item in items if {"sku", "price_cents"} <= item.keys()}
    bench.expect(
        len(found) >= count,
        expected=f"{count} products with their prices",
        got=body,
        why="The checks choose their products from this list.",
        look="Caddyfile; topology.py: SEED",
    )
    return {sku: found[sku] for sku in bench.random.sample(sorted(found), count)}


def _internal(shop: Shop) -> str:
    return f"http://127.0.0.1:{shop.fleet.internal_ports[CATALOG]}"


def _asked(
    shop: Shop, skus: Sequence[str] | dict[str, int], headers: dict[str, str], params: dict[str, str]
) -> list[dict[str, Any]]:
    """The products of the internal API as they are; none when there is no proper answer."""
    with requests.Session() as session, suppress(requests.RequestException, ValueError, AttributeError):
        session.trust_env = False
        query = {"sku": ",".join([*skus, UNKNOWN]), **params}
        answer = session.get(_internal(shop) + INTERNAL, params=query, headers=headers, timeout=5)
        return [item for item in answer.json().get("items", []) if isinstance(item, dict)]
    return []


def _counted(metrics: Iterable[str]) -> dict[str, float]:
    """The counter of old reads, by caller, over the metrics of all replicas."""
    found: dict[str, float] = {}
    for text in metrics:
        for caller, number in SAMPLE.findall(text):
            found[caller] = found.get(caller, 0.0) + float(number)
    return found


def _metrics(shop: Shop) -> Iterator[str]:
    """The metrics of each replica of the catalog that answers."""
    with requests.Session() as session:
        session.trust_env = False
        for replica in shop.fleet.replicas(CATALOG):
            with suppress(requests.RequestException):
                yield session.get(f"http://127.0.0.1:{replica.port}/metrics", timeout=10).text


# ---- words


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _first(bench: Bench, journey: Journey, side: str) -> Stretch:
    """The first deploy of a side; NotYet without one."""
    found = next((stretch for stretch in journey.deploys if stretch.what.endswith(f"-{side}")), None)
    if found is None:
        raise bench.not_yet(
            did=f"looked into {RELEASES}/",
            expected=f"a release of {side}",
            got=_listed(journey.deploys),
            why="Both sides of the contract have to move.",
            look=f"python release.py {side}",
        )
    return found


def _cause(bad: list[Stretch]) -> str:
    first = bad[0].failures[0] if bad else ""
    if any(words in first for words in NO_WAY):
        return "Caddyfile: the proxies of both services are pools with health checks; topology.py"
    return f"{RELEASES}/{bad[0].what}: {first}" if bad else ""


def _shown(items: list[dict[str, Any]]) -> str:
    """The first of the products, with what the contract is about."""
    kept = ("sku", "price", "price_cents")
    return str({name: items[0][name] for name in kept if name in items[0]}) if items else "no products"


def _listed(deploys: list[Stretch]) -> str:
    return ", ".join(stretch.what for stretch in deploys) or "none"


def _readers(stretch: Stretch) -> str:
    readers = [
        f"{name} {number:+g}" for name, number in stretch.counted.items() if number and name not in CALLERS
    ]
    return ", ".join(readers) or "none"

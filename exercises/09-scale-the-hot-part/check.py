"""09: four replicas of the hot service do more than one; they come, go and die without an error for visitors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

import psutil
import requests

from exercises.checks.checking import Answer, Bench, Shop, check
from exercises.checks.standin import scratch
from loadtests.rig import slices
from microservices.chaos.standin import LOSE, Asked, StandIn
from microservices.chaos.standin import Answer as Reply
from microservices.launcher.gateway import caddy
from microservices.launcher.ports import Ports
from microservices.topology import WorkspaceError, load

HOT, REPLICAS, MORE_REPLICAS, SLOTS = "recommendations", 4, 5, 8
CADDYFILE, TOPOLOGY = "Caddyfile", "topology.py"
OF_A_SERVICE = re.compile(r"\{\$SHOP_([A-Z_]+)_(?:PORT|SLOTS)\}")
REQUESTS, VISITORS = 240, 8
FAIR_SHARE = 0.04
"""The least share of the requests for each of four replicas. An even share is a quarter; the least seen was 12 %."""
CORES = 0.06
"""Cores that each replica may use: so little that four of them fit on a busy laptop."""
SECONDS, ROUNDS, CLIENTS = 2.0, 3, 16
GATE, CLEARLY_LESS = 2.5, 2.0
SATURATED = 0.75
"""Share of their slices that the replicas use at least when they are the bottleneck."""
OK, ANSWERS = 200, 40
ROUNDS_OF_LEAVING = 4
LEAVE_SECONDS, JOIN_SECONDS, GIVE_UP_SECONDS = 0.5, 2.0, 2.0
LATE = 0.4
"""What a request and the replica's answer to a health check may take besides."""
CLEARLY_LATE = 1.0
"""So much beyond the limit is no delay by a busy machine."""
ROUTE = re.compile(
    r'^http_requests_total\{[^}]*route="/api/products/<sku>/recommendations"[^}]*\} (\S+)$', re.MULTILINE
)


def _shop(bench: Bench) -> Shop:
    return bench.shop(scale={HOT: REPLICAS})


@check("eight-slots", task="pool", shop=False)
def _(bench: Bench) -> None:
    """topology.py gives the service eight slots."""
    bench.text(TOPOLOGY)
    try:
        services = {service.name: service for service in load(bench.workspace).topology.services}
    except WorkspaceError as error:
        raise bench.not_yet(
            did=f"read {TOPOLOGY}",
            expected="TOPOLOGY and SEED",
            got=error,
            why="The shop is started from this file.",
            look=TOPOLOGY,
        ) from error
    slots = services[HOT].slots if HOT in services else 0
    bench.expect(
        slots == SLOTS,
        did=f"read {TOPOLOGY}",
        expected=f"slots={SLOTS} in the Service of {HOT}",
        got=f"slots={slots}",
        why="A running gateway is never changed, so the slots are the most replicas that there can be.",
        look=TOPOLOGY,
    )


@check("four-share-the-work", task="pool", shop=False)
def _(bench: Bench) -> None:
    """Four replicas share the API's requests for recommendations."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    before = _answered(shop)
    answers = _ask(shop, [f"/api/products/{sku}/recommendations" for sku in skus], REQUESTS)
    _expect_shares(bench, shop, before, answers, f"asked the API {REQUESTS} times, {VISITORS} at a time")


@check("pages-ask-the-pool-too", task="pool", shop=False)
def _(bench: Bench) -> None:
    """The replicas also share the monolith's own requests, for product pages."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    before = _answered(shop)
    answers = _ask(shop, [f"/products/{sku}" for sku in skus], REQUESTS)
    _expect_shares(bench, shop, before, answers, f"looked at {REQUESTS} product pages, {VISITORS} at a time")


@check("one-dies-unnoticed", task="health", shop=False, load=True, seconds=30)
def _(bench: Bench) -> None:
    """When a replica is killed under traffic, every visitor still gets an answer."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    victim = f"{HOT}-{bench.random.randint(2, REPLICAS)}"
    with _traffic(shop, skus) as answers:
        time.sleep(1.0)
        with shop.killed(victim):
            time.sleep(1.5)
        time.sleep(0.5)
    bad = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not bad,
        did=f"killed {victim}, one of {REPLICAS}, while {VISITORS} visitors ask the API and look at product pages",
        expected=f"no error in {len(answers)} answers",
        got=f"{len(bad)} errors, the first: {bad[0] if bad else ''}",
        why="Three replicas were up and could have answered.",
        look=f"{CADDYFILE}: lb_try_duration",
    )
    bench.note(f"{len(answers)} answers without an error while a replica died")


@check("replicas-come-and-go", task="health", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """Replicas are taken away and added under traffic without an error, and the new ones soon take part."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 30)
    try:
        with _traffic(shop, skus) as answers:
            shop.scale(HOT, 2)
            time.sleep(0.5)
            shop.scale(HOT, MORE_REPLICAS)
            time.sleep(1.5)
            before = _answered(shop)
            time.sleep(2.0)
            shares = _shares(before, _answered(shop))
    finally:
        shop.scale(HOT, REPLICAS)
    bad = [answer for answer in answers if answer.status != 200]
    did = f"went from {REPLICAS} replicas to 2 and to {MORE_REPLICAS}, while {VISITORS} visitors ask the API"
    bench.expect(
        not bad,
        did=did,
        expected=f"no error in {len(answers)} answers",
        got=f"{len(bad)} errors, the first: {bad[0] if bad else ''}",
        why="If scaling causes errors, nobody will scale when it is needed.",
        look=f"{CADDYFILE}: health_uri /readyz, which says 503 while a replica drains",
    )
    bench.expect(
        len(shares) == MORE_REPLICAS and min(shares.values()) >= FAIR_SHARE / 2,
        did=did,
        expected="the new replicas to take part within two seconds",
        got=_listed(shares),
        why="A replica that gets no requests costs memory and brings nothing.",
        look=f"{CADDYFILE}: health_interval",
    )
    bench.note(f"{len(answers)} answers without an error")


@check("both-doors-try-again", task="health", shop=False)
def _(bench: Bench) -> None:
    """A request that reaches a dead replica is tried on another one, at the visitors' door and at the monolith's."""
    with _gateway(bench) as doors:
        for replica in (doors.one, doors.two):
            doors.wait_for_both()
            replica.dies()
            for door, statuses in doors.get_often().items():
                bad = [status for status in statuses if status != OK]
                bench.expect(
                    not bad,
                    did=f"started your gateway with two replicas, killed one, at once asked {ANSWERS} times at {door}",
                    expected=f"no error in {ANSWERS} answers",
                    got=f"{len(bad)} errors, the first: {bad[0] if bad else ''}",
                    why="The other replica was up and could have answered.",
                    look=f"{CADDYFILE}: lb_try_duration at {door}",
                )
            replica.comes_back()


@check("nobody-waits-for-nothing", task="health", shop=False)
def _(bench: Bench) -> None:
    """When no replica is left, the gateway says so within two seconds, at both doors."""
    with _gateway(bench) as doors:
        doors.wait_for_both()
        doors.one.dies()
        doors.two.dies()
        with ThreadPoolExecutor(len(doors.ports)) as pool:
            took = dict(zip(doors.ports, pool.map(doors.seconds, doors.ports), strict=True))
    if LATE < max(took.values()) - GIVE_UP_SECONDS < CLEARLY_LATE and bench.busy() > 1.0:
        raise bench.inconclusive(f"it was late while other programs used {bench.busy():.1f} cores")
    for door, seconds in took.items():
        bench.expect(
            seconds <= GIVE_UP_SECONDS + LATE,
            did=f"started your gateway with two replicas, killed both and asked at {door}",
            expected=f"an error within {GIVE_UP_SECONDS:g} s",
            got=f"none before {seconds:.1f} s",
            why="The panel can be left out, but not while the page still waits for it.",
            look=f"{CADDYFILE}: lb_try_duration at {door}",
        )


@check("orders-are-not-made-twice", task="health", shop=False)
def _(bench: Bench) -> None:
    """A POST that was lost on its way is not sent again by the gateway, by none of its doors."""
    with _gateway(bench) as doors:
        doors.wait_for_both()
        doors.lose_posts()
        for door in doors.everywhere:
            doors.forget()
            status = doors.post(door)
            came = doors.posts()
            bench.expect(
                came == 1,
                did=f"started your gateway and sent a POST at {door}; the replica took it and broke off",
                expected=f"one POST, and an error for the one who sent it (502; it was {status})",
                got=f"{came} POSTs arrived",
                why="The replica may have done it before it broke off: a second POST can be a second order.",
                look=f"{CADDYFILE}: lb_retry_match",
            )


@check("one-that-leaves-gets-nothing", task="health", shop=False, load=True, seconds=30)
def _(bench: Bench) -> None:
    """Half a second after a replica says that it leaves it gets no more requests, and soon some after it is back."""
    with _gateway(bench) as doors:
        doors.wait_for_both()
        for _ in range(ROUNDS_OF_LEAVING):
            time.sleep(bench.random.uniform(0.0, 0.4))
            last, back = doors.leave_and_come_back()
            for door in doors.ports:
                if (
                    LATE < max(last[door] - LEAVE_SECONDS, back[door] - JOIN_SECONDS) < CLEARLY_LATE
                    and bench.busy() > 1.0
                ):
                    raise bench.inconclusive(
                        f"it was late while other programs used {bench.busy():.1f} cores"
                    )
                did = f"started your gateway with two replicas and asked at {door}; the /readyz of one "
                bench.expect(
                    last[door] <= LEAVE_SECONDS + LATE,
                    did=did + "changed to 503",
                    expected=f"no request for it later than {LEAVE_SECONDS:g} s (and {LATE:g} s for the answers)",
                    got=f"it still got one after {last[door]:.1f} s",
                    why="The launcher ends it a little more than half a second after it has announced that it leaves.",
                    look=f"{CADDYFILE}: health_uri and health_interval at {door}",
                )
                bench.expect(
                    back[door] <= JOIN_SECONDS + LATE,
                    did=did + "changed back to 200",
                    expected=f"requests for it within {JOIN_SECONDS:g} s",
                    got=f"none within {back[door]:.1f} s",
                    why="A replica that gets no requests costs memory and brings nothing.",
                    look=f"{CADDYFILE}: health_interval at {door}",
                )


@check("a-new-one-gets-its-share", task="health", shop=False)
def _(bench: Bench) -> None:
    """A replica that starts in the slot of a dead one gets requests within two seconds, at both doors."""
    with _gateway(bench) as doors:
        doors.wait_for_both()
        doors.one.dies()
        for _ in range(ANSWERS):
            for door in doors.ports:
                doors.get(door)
        doors.one.comes_back()
        back = doors.until_it_takes_part()
    if LATE < max(back.values()) - JOIN_SECONDS < CLEARLY_LATE and bench.busy() > 1.0:
        raise bench.inconclusive(f"it was late while other programs used {bench.busy():.1f} cores")
    for door, seconds in back.items():
        bench.expect(
            seconds <= JOIN_SECONDS + LATE,
            did=f"started your gateway with two replicas, killed one, started another in its slot and asked at {door}",
            expected=f"requests for it within {JOIN_SECONDS:g} s",
            got=f"none within {seconds:.1f} s",
            why="After a crash the next replica takes the same slot. Until it gets requests, the others work more.",
            look=f"{CADDYFILE}: health_interval and fail_duration at {door}",
        )


@check("health-is-checked-often", task="health", shop=False)
def _(bench: Bench) -> None:
    """At both doors, the health of a replica is checked at least every half second."""
    with _gateway(bench) as doors:
        found = doors.health_intervals
    for door, seconds in found.items():
        bench.expect(
            seconds and max(seconds) <= LEAVE_SECONDS,
            did=f"read your {CADDYFILE} as the gateway does",
            expected=f"a health check every {LEAVE_SECONDS:g} s or more often at {door}",
            got=f"every {max(seconds):g} s" if seconds else "no health check",
            why="A replica that leaves ends a little more than half a second after its /readyz has changed.",
            look=f"{CADDYFILE}: health_uri and health_interval at {door}",
        )


@check("four-are-faster", task="measure", shop=False, load=True, seconds=80)
def _(bench: Bench) -> None:
    """Four replicas answer at least 2.5 times as much as one, each with the same small slice of a core."""
    shop = _shop(bench)
    skus = _skus(bench, shop, 60)
    paths = [
        f"/api/products/{sku}/recommendations?cart={','.join(bench.random.sample(skus, 3))}" for sku in skus
    ]
    backend = slices.detect()
    try:
        rates: dict[int, float] = {}
        for count in (REPLICAS, 1):
            shop.scale(HOT, count)
            for replica in shop.fleet.replicas(HOT):
                backend.put(f"09-{replica.label}", replica.pid, CORES)
            measured = [_rate(shop, paths) for _ in range(ROUNDS)]
            rates[count], used = median(rate for rate, _ in measured), median(cores for _, cores in measured)
            if used < SATURATED * count * CORES and backend.backend != "none":
                _doubt_if_busy(bench, count, used)
            for replica in shop.fleet.replicas(HOT):
                backend.drop(f"09-{replica.label}")
    finally:
        backend.close()
        shop.scale(HOT, REPLICAS)
    times = rates[REPLICAS] / rates[1] if rates[1] else 0.0
    said = f"{rates[REPLICAS]:.0f} requests/s with {REPLICAS} replicas, {rates[1]:.0f} with one: {times:.1f} times"
    if CLEARLY_LESS <= times < GATE or (times < GATE and bench.busy() > 1.0):
        raise bench.inconclusive(f"{said}; other programs used {bench.busy():.1f} cores")
    bench.expect(
        times >= GATE,
        did=f"gave each replica {CORES:g} of a core ({backend.backend}), and let {CLIENTS} clients ask without a pause",
        expected=f"at least {GATE:g} times as many answers",
        got=said,
        why="Scaling this part alone is what recommendations became a service for.",
        look=f"{CADDYFILE}: is the work shared? {TOPOLOGY}: slots",
    )
    bench.note(said)


@check("only-the-hot-part-grows", task="measure", shop=False)
def _(bench: Bench) -> None:
    """With four replicas of the service there is still one monolith, and adding a replica adds one process."""
    shop = _shop(bench)
    parts = Counter(name.rpartition("-")[0] for name in shop.names() if name != "gateway")
    bench.expect(
        parts["monolith"] == 1 and parts == Counter({**dict.fromkeys(parts, 1), HOT: REPLICAS}),
        did=f"asked for {REPLICAS} replicas of {HOT}",
        expected=f"{REPLICAS} {HOT}, and 1 monolith and 1 of anything else",
        got=", ".join(f"{count} {name}" for name, count in parts.items()),
        why="Four copies of a part that is not hot cost memory and bring nothing.",
        look=TOPOLOGY,
    )
    sizes = {name: _megabytes(shop, f"{name}-1") for name in ("monolith", HOT)}
    bench.note(
        f"one more replica costs {sizes[HOT]:.0f} MB, one more monolith {sizes['monolith']:.0f} MB: "
        f"{REPLICAS} replicas and 1 monolith take {sizes['monolith'] + REPLICAS * sizes[HOT]:.0f} MB, "
        f"{REPLICAS} monoliths {REPLICAS * sizes['monolith']:.0f} MB"
    )


# ---- the learner's gateway alone, with stand-ins behind it


class Replica:
    """A stand-in for a replica: ready or not, dead or alive."""

    def __init__(self) -> None:
        self.ready, self.loses_posts = True, False
        self.came: list[tuple[float, str, str]] = []
        """When, method, and the door that the request named."""
        self.stand_in = StandIn(self._respond)

    def dies(self) -> None:
        """Break all connections off, and take no more."""
        self.stand_in.respond = lambda _: LOSE
        self.stand_in.close()

    def comes_back(self) -> None:
        """Start anew in the same slot, ready."""
        self.stand_in = StandIn(self._respond, port=self.stand_in.port)

    def _respond(self, asked: Asked) -> Reply:
        if asked.route == "/readyz":
            return (200, {}) if self.ready else (503, {})
        self.came.append((time.monotonic(), asked.method, asked.query.get("door", "")))
        return LOSE if self.loses_posts and asked.method == "POST" else (200, {})


class Doors:
    """The gateway's doors to the hot service and to the monolith."""

    health_intervals: dict[str, list[float]]
    """By door of the hot service: seconds between two health checks, of each of its proxies."""

    def __init__(self, public: int, inside: int, monolith_inside: int) -> None:
        self.one, self.two, self.monolith = Replica(), Replica(), Replica()
        path = "/api/products/P00001/recommendations"
        self.ports = {"the visitors' door": (public, path), "the monolith's door": (inside, path)}
        self.everywhere = {
            **self.ports,
            "the visitors' door to the monolith": (public, "/api/orders"),
            "the services' door to the monolith": (monolith_inside, "/api/orders"),
        }

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.one, self.two, self.monolith

    def get(self, door: str) -> int:
        """Status of a GET; 0 without an answer."""
        return self._ask("GET", door)

    def get_often(self) -> dict[str, list[int]]:
        """By door, the statuses of many GETs. All doors are asked at the same time.

        A second try takes a quarter of a second. By turns, the next door would be asked only when the health checks
        have found the dead replica.
        """

        def statuses(door: str) -> list[int]:
            return [self.get(door) for _ in range(ANSWERS)]

        with ThreadPoolExecutor(len(self.ports)) as pool:
            return dict(zip(self.ports, pool.map(statuses, self.ports), strict=True))

    def post(self, door: str) -> int:
        """Status of a POST; 0 without an answer."""
        return self._ask("POST", door)

    def seconds(self, door: str) -> float:
        """How long a GET takes, with or without an answer."""
        began = time.monotonic()
        self.get(door)
        return time.monotonic() - began

    def posts(self) -> int:
        return sum(method == "POST" for each in self.replicas for _, method, _ in each.came)

    def lose_posts(self) -> None:
        for each in self.replicas:
            each.loses_posts = True

    def forget(self) -> None:
        for each in self.replicas:
            each.came.clear()

    def wait_for_both(self) -> None:
        """Ask until both replicas have got a request from each door, at most some seconds."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not all(
            {door for _, _, door in each.came} >= self.ports.keys() for each in (self.one, self.two)
        ):
            for door in self.ports:
                self.get(door)
        self.forget()

    def leave_and_come_back(self) -> tuple[dict[str, float], dict[str, float]]:
        """By door: seconds after "not ready" until the last request came, and after "ready" until the first one."""
        self.one.ready, began = False, time.monotonic()
        while time.monotonic() < began + LEAVE_SECONDS + 1.5 * CLEARLY_LATE:
            self._knock()
        last = {door: max(self._came(door), default=began) - began for door in self.ports}
        self.forget()
        self.one.ready = True
        return last, self.until_it_takes_part()

    def until_it_takes_part(self) -> dict[str, float]:
        """By door: seconds from now until the first request came to the first replica."""
        began = time.monotonic()
        until = began + JOIN_SECONDS + 1.5 * CLEARLY_LATE
        while time.monotonic() < until and not all(map(self._came, self.ports)):
            self._knock()
        ended = time.monotonic()
        back = {door: min(self._came(door), default=ended) - began for door in self.ports}
        self.forget()
        return back

    def _knock(self) -> None:
        for door in self.ports:
            self.get(door)
        time.sleep(0.01)

    def _came(self, door: str) -> list[float]:
        return [at for at, _, each in self.one.came if each == door]

    def _ask(self, method: str, door: str) -> int:
        port, path = self.everywhere[door]
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.request(
                    method, f"http://127.0.0.1:{port}{path}", params={"door": door}, timeout=10
                ).status_code
            except requests.RequestException:
                return 0


@contextmanager
def _gateway(bench: Bench) -> Iterator[Doors]:
    """Run the workspace's Caddyfile alone, with stand-ins in two of the eight slots and as the monolith."""
    others = sorted(set(OF_A_SERVICE.findall(bench.text(CADDYFILE))) - {"RECOMMENDATIONS", "MONOLITH"})
    ports = Ports(3 + SLOTS + 2 * len(others))
    public, inside, monolith_inside, *empty = ports.numbers
    doors = Doors(public, inside, monolith_inside)
    hot = [doors.one.stand_in.port, doors.two.stand_in.port, *empty[: SLOTS - 2]]
    env = {
        "SHOP_PORT": str(public),
        "SHOP_RECOMMENDATIONS_PORT": str(inside),
        "SHOP_MONOLITH_PORT": str(monolith_inside),
        "SHOP_RECOMMENDATIONS_SLOTS": " ".join(f"127.0.0.1:{port}" for port in hot),
        "SHOP_MONOLITH_SLOTS": f"127.0.0.1:{doors.monolith.stand_in.port}",
        "HOME": str(scratch()),
    }
    for name in others:  # services of later exercises: nobody asks them here, but each needs addresses
        env[f"SHOP_{name}_PORT"] = str(empty.pop())
        env[f"SHOP_{name}_SLOTS"] = f"127.0.0.1:{empty.pop()}"
    file = ["--config", str(bench.workspace / CADDYFILE), "--adapter", "caddyfile"]
    adapted = subprocess.run(  # noqa: S603 -- the gateway's own program
        [str(caddy()), "adapt", *file], env={**os.environ, **env}, capture_output=True, check=False
    )
    doors.health_intervals = _health_intervals(doors, adapted.stdout, hot)
    command = [str(caddy()), "run", *file]
    process = subprocess.Popen(  # noqa: S603 -- the gateway's own program
        command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while not all(doors.get(door) for door in doors.ports):
            bench.expect(
                process.poll() is None and time.monotonic() < deadline,
                did=f"started the gateway with your {CADDYFILE}",
                expected="an answer at {$SHOP_PORT} and at {$SHOP_RECOMMENDATIONS_PORT}",
                got="none",
                why="The shop starts with this gateway.",
                look=f"{CADDYFILE}; `exercises serve` shows its mistakes",
            )
            time.sleep(0.02)
        yield doors
    finally:
        process.kill()
        process.wait()
        for each in doors.replicas:
            with suppress(OSError):
                each.stand_in.close()
        ports.release()


def _health_intervals(doors: Doors, adapted: bytes, slots: list[int]) -> dict[str, list[float]]:
    """By door: seconds between two health checks, for each proxy to the slots; Caddy's 30 s when none is named."""
    config = json.loads(adapted) if adapted.strip() else {}
    servers = config.get("apps", {}).get("http", {}).get("servers", {}).values()
    found: dict[str, list[float]] = {}
    for door, (port, _) in doors.ports.items():
        behind = [server for server in servers if any(each.endswith(f":{port}") for each in server["listen"])]
        checks = [
            proxy.get("health_checks", {}).get("active")
            for proxy in _proxies(behind)
            if _leads_to(proxy, slots)
        ]
        found[door] = (
            [each.get("interval", 30e9) / 1e9 for each in checks if each] if checks and all(checks) else []
        )
    return found


def _leads_to(proxy: dict[str, Any], slots: list[int]) -> bool:
    ports = {each.get("dial", "").rpartition(":")[2] for each in proxy.get("upstreams", [])}
    return bool(ports & set(map(str, slots)))


def _proxies(part: Any) -> Iterator[dict[str, Any]]:
    """The proxies in a part of the gateway's configuration."""
    if isinstance(part, dict):
        if part.get("handler") == "reverse_proxy":
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _proxies(each)


# ---- traffic


def _ask(shop: Shop, paths: list[str], number: int) -> list[Answer]:
    """Ask for these paths in turn, VISITORS at a time."""

    def some(mine: int) -> list[Answer]:
        visitor = shop.visitor()
        return [
            visitor.try_ask("GET", paths[step % len(paths)], timeout=30)
            for step in range(mine, number, VISITORS)
        ]

    with ThreadPoolExecutor(VISITORS) as pool:
        return [answer for answers in pool.map(some, range(VISITORS)) for answer in answers]


@contextmanager
def _traffic(shop: Shop, skus: list[str]) -> Iterator[list[Answer]]:
    """Visitors ask the API, and some look at product pages, while the block runs.

    The list of their answers is complete after the block.
    """
    stop, answers = threading.Event(), list[Answer]()

    def keep_asking(number: int) -> None:
        visitor = shop.visitor()
        while not stop.wait(0.02):
            sku = skus[number % len(skus)]
            path = f"/products/{sku}" if number % 4 == 0 else f"/api/products/{sku}/recommendations"
            answers.append(visitor.try_ask("GET", path, timeout=30))

    with ThreadPoolExecutor(VISITORS) as pool:
        for number in range(VISITORS):
            pool.submit(keep_asking, number)
        try:
            yield answers
        finally:
            stop.set()


def _rate(shop: Shop, paths: list[str]) -> tuple[float, float]:
    """Answers per second when clients ask without a pause, and the cores that the replicas used."""
    until = time.monotonic() + SECONDS

    def keep_asking(number: int) -> int:
        good = 0
        with requests.Session() as session:
            session.trust_env = False
            while time.monotonic() < until:
                with suppress(requests.RequestException):
                    answer = session.get(shop.url + paths[(number + good) % len(paths)], timeout=30)
                    good += answer.status_code == 200 and time.monotonic() < until
        return good

    before = _cpu_seconds(shop)
    with ThreadPoolExecutor(CLIENTS) as pool:
        good = sum(pool.map(keep_asking, range(CLIENTS)))
    return good / SECONDS, (_cpu_seconds(shop) - before) / SECONDS


def _doubt_if_busy(bench: Bench, count: int, used: float) -> None:
    """Inconclusive on a busy machine: the replicas did not use their slices, so they were not the bottleneck."""
    if bench.busy() > 1.0:
        raise bench.inconclusive(
            f"{count} replicas used {used:.2f} of their {count * CORES:.2f} cores, "
            f"and other programs used {bench.busy():.1f} cores"
        )


# ---- what the processes did


def _answered(shop: Shop) -> dict[str, float]:
    """How many requests for recommendations each replica has answered so far, by label."""
    found = {}
    with requests.Session() as session:
        session.trust_env = False
        for replica in shop.fleet.replicas(HOT):
            with suppress(requests.RequestException):
                text = session.get(f"http://127.0.0.1:{replica.port}/metrics", timeout=10).text
                found[replica.label] = sum(float(number) for number in ROUTE.findall(text))
    return found


def _shares(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    grown = {label: number - before.get(label, 0.0) for label, number in after.items()}
    return {label: number / max(1.0, sum(grown.values())) for label, number in grown.items()}


def _expect_shares(
    bench: Bench, shop: Shop, before: dict[str, float], answers: list[Answer], did: str
) -> None:
    bad = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not bad,
        did=did,
        expected="200 each time",
        got=f"{len(bad)} others, the first: {bad[0] if bad else ''}",
        why="The gateway must not send requests to a slot without a replica.",
        look=f"{CADDYFILE}: health checks",
    )
    shares = _shares(before, _answered(shop))
    bench.expect(
        len(shares) == REPLICAS and min(shares.values()) >= FAIR_SHARE,
        did=did,
        expected=f"each of the four to answer at least {FAIR_SHARE:.0%} of them",
        got=_listed(shares),
        why="A replica that gets no requests costs memory and brings nothing.",
        look=f"{CADDYFILE}: lb_policy; {TOPOLOGY}: slots",
    )
    bench.note(_listed(shares))


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{label} {share:.0%}" for label, share in shares.items()) or "no replica"


def _cpu_seconds(shop: Shop) -> float:
    total = 0.0
    for pid in shop.pids(HOT):
        with suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def _megabytes(shop: Shop, name: str) -> float:
    total = 0
    for pid in shop.pids(name):
        with suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().uss
    return total / 1e6


def _skus(bench: Bench, shop: Shop, count: int) -> list[str]:
    body: Any = shop.ask("GET", "/api/products?page_size=100").json()
    items = body.get("items", []) if isinstance(body, dict) else []
    listed = [str(item.get("sku")) for item in items if isinstance(item, dict)]
    bench.expect(
        len(listed) >= count,
        expected=f"{count} products",
        got=len(listed),
        why="The checks choose their products from this list.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)

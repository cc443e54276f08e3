"""15: a request can be followed through threads, calls and logs, and its slow hop is found in its trace alone."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from exercises.checks import tracing
from exercises.checks.checking import Answer, Bench, Shop, Visitor, check
from exercises.checks.drawn_traces import CASES, Draft, any_trace, slowest_of
from exercises.checks.standin import scratch
from microservices.launcher import sqlite_url
from microservices.tracing.span import Span
from microservices.tracing.trace import Segment, critical_path, trees

CATALOG, INVENTORY, RECOMMENDATIONS, MONOLITH = "catalog", "inventory", "recommendations", "monolith"
ON_A_PAGE = (MONOLITH, RECOMMENDATIONS, CATALOG, INVENTORY)
"""Every process that works for a product page."""
THREADS, REMOTE, LOGS, CLIENT, FINDER = (
    "monolith/chassis/together.py",
    "monolith/recommendations/remote.py",
    "monolith/chassis/observability.py",
    "monolith/catalog/client.py",
    "slowest.py",
)
EXTRAS = "tracing needs OpenTelemetry, which is not installed: run `make extras`, then check again"
SLOW_MS = 110
"""A question for recommendations may take 250 ms in all."""
BUSY = 0.5
"""Cores that other programs use."""
POLL_SECONDS = 0.05
RECOVER_SECONDS = 8.0
PAGES, FAILING_PAGES, AT_A_TIME = 12, 8, 4
"""Twelve pages earn the repeat of one call."""
MAX_OUTCOMES = 5
STRANGE_IDS = ("two words", "a" * 65, '{"id": 1}')
SERIES = re.compile(r"^upstream_(calls|attempts)_total\{([^}]*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ANSWERED = re.compile(
    r'^http_requests_total\{[^}]*route="/(?:api|internal)/[^"]*"[^}]*\} (\S+)$', re.MULTILINE
)
TRACE_ID = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
MILLI = 1_000_000
TRIES = 3
LOCK_SECONDS = 0.3
ROWS = {CATALOG: 600_000, RECOMMENDATIONS: 450_000}
"""So many rows are counted for each read of a table that is made slow."""
SLOW_TABLES = {CATALOG: "products", RECOMMENDATIONS: "popularity"}


# ---- task 1


@check("the-page-is-one-trace", task="trace", shop=False, seconds=25, until="choose-freely")
def _(bench: Bench) -> None:
    """A product page is one trace, with the spans of the monolith, the catalog and recommendations."""
    shop = _shop(bench)
    pages = []
    for sku in _skus(bench, shop, 2):
        seen, spans = _look(bench, shop, sku)
        pages.append((seen, spans))
        bench.expect(
            _is_whole(seen, spans),
            did=f"made the way to recommendations {SLOW_MS} ms longer, then: {seen.curl}",
            expected="one trace, with the spans of monolith, recommendations and catalog below the page's",
            got=f"{seen.seconds * 1000:.0f} ms, and " + _halves(spans),
            why="The page is slow, and its trace does not say where. The other trace does not say for whom.",
            look=f"{THREADS}: what does the other thread know of the request?",
        )
    bench.expect(
        any(_are_together(seen, spans) for seen, spans in pages),
        did=f"made the way to {RECOMMENDATIONS} {SLOW_MS} ms longer, and looked at {len(pages)} pages; "
        f"the last one: {pages[-1][0].curl}",
        expected=f"the questions for {RECOMMENDATIONS} and {INVENTORY} at the same time, as before",
        got=f"first the one, then the other:\n{_drawn(_calls(*pages[-1]))}",
        why="The page takes the sum of both then, and the trace is whole because nothing goes on in another thread.",
        look=f"{THREADS}: when does the other thread begin, and who waits for it?",
    )


@check("a-refused-call-is-in-the-trace", task="trace", shop=False, seconds=25)
def _(bench: Bench) -> None:
    """A question that the breaker refuses leaves a failed span with the name of the service, in the page's trace."""
    shop = _shop(bench)
    skus = _skus(bench, shop, FAILING_PAGES)
    began = time.time_ns()
    with _broken(shop, RECOMMENDATIONS):
        pages = [shop.ask("GET", f"/products/{sku}") for sku in skus]
    spans = _arrived(bench, began, lambda spans: not _unexplained(pages, spans))
    refused = [page for page in pages if not any(map(_is_sent, _to_recommendations(page, spans)))]
    if not refused:
        raise bench.inconclusive(
            f"in {len(pages)} pages without recommendations, the breaker refused nothing"
        )
    bad = min(_unexplained(pages, spans), key=lambda page: page.seconds, default=None)
    bench.expect(
        bad is None,
        did=f"let every call to {RECOMMENDATIONS} fail, and looked at {len(pages)} pages; one of them: "
        f"{bad.curl if bad else ''}",
        expected=f"a failed span with peer.service={RECOMMENDATIONS}: a call, or that the breaker refused it",
        got=f"bestsellers after {bad.seconds * 1000:.0f} ms, and nothing in its trace says why: "
        f"{_halves(_of(_request_id(bad), spans))}"
        if bad
        else "",
        why="A call that is not made leaves no span by itself, so the fastest pages are those that nobody understands.",
        look=f"{REMOTE}: microservices/chassis/spans.py has `refused`",
    )
    bench.note(f"the breaker refused {len(refused)} of {len(pages)} questions")


def _look(bench: Bench, shop: Shop, sku: str) -> tuple[Answer, list[Span]]:
    """One product page with a slow way to recommendations; all spans that were begun meanwhile."""
    _well(bench, shop)
    began = time.time_ns()
    with shop.toxic(RECOMMENDATIONS, "latency", stream="upstream", latency=SLOW_MS):
        seen = shop.ask("GET", f"/products/{sku}")
    ended = time.time_ns()
    spans = _arrived(bench, began, lambda spans: _is_whole(seen, spans))
    return seen, [span for span in spans if span.start <= ended]


def _is_whole(page: Answer, spans: Sequence[Span]) -> bool:
    """Whether the page's trace has the spans of all three, and every parent of a span."""
    own = _of(_request_id(page), spans)
    servers = {span.service for span in own if span.kind == "server"}
    parents = {span.parent_id for span in own} - {span.span_id for span in own}
    return servers >= {MONOLITH, CATALOG, RECOMMENDATIONS} and parents == {None}


def _calls(page: Answer, spans: Sequence[Span]) -> list[Span]:
    """The page's own span, and its calls to recommendations and the inventory."""
    return [
        span
        for span in _of(_request_id(page), spans)
        if span.parent_id is None or span.attributes.get("peer.service") in (RECOMMENDATIONS, INVENTORY)
    ]


def _are_together(page: Answer, spans: Sequence[Span]) -> bool:
    """Whether the page asked recommendations and the inventory at the same time."""
    called = {span.attributes.get("peer.service"): span for span in _calls(page, spans)}
    first, second = called.get(RECOMMENDATIONS), called.get(INVENTORY)
    return bool(first and second and first.start < second.end and second.start < first.end)


def _halves(spans: Sequence[Span]) -> str:
    """Each trace on a line, with the time that no span below its first one explains."""
    lines = []
    for trace in dict.fromkeys(span.trace_id for span in spans):
        for root in trees(span for span in spans if span.trace_id == trace):
            own = sum(each.end - each.start for each in critical_path(root) if each.span is root.span)
            took = root.span.end - root.span.start
            services = ", ".join(dict.fromkeys(_walk_services(root)))
            lines.append(
                f"trace {trace[:8]}…: {root.span.service} {root.span.name}, {took / MILLI:.0f} ms, "
                f"of which {own / MILLI:.0f} ms in nothing below it; spans of {services}"
            )
    return (
        f"{len(lines)} trace{'s' if len(lines) != 1 else ''}:\n" + "\n".join(lines) if lines else "no trace"
    )


def _walk_services(node: Any) -> Iterator[str]:
    yield node.span.service
    for child in node.children:
        yield from _walk_services(child)


def _unexplained(pages: Sequence[Answer], spans: Sequence[Span]) -> list[Answer]:
    return [page for page in pages if not any(each.failed for each in _to_recommendations(page, spans))]


def _to_recommendations(page: Answer, spans: Sequence[Span]) -> list[Span]:
    return [
        span
        for span in _of(_request_id(page), spans)
        if span.attributes.get("peer.service") == RECOMMENDATIONS
    ]


def _is_sent(span: Span) -> bool:
    return any(name.startswith(("http.", "url.")) for name in span.attributes)


# ---- task 2


@check("one-id-in-all-logs", task="join", shop=False, seconds=25, until="choose-freely")
def _(bench: Bench) -> None:
    """The id of a request is in the log lines of every process that worked for it, and a stranger's text is no id."""
    shop = _shop(bench)
    _well(bench, shop)
    skus = _skus(bench, shop, AT_A_TIME + 3)
    label = _label(bench)
    _expect_one_id(bench, shop, skus[0], label, label)
    strange = bench.random.choice(STRANGE_IDS)
    made = [_expect_one_id(bench, shop, sku, strange, None) for sku in skus[1:3]]
    bench.expect(
        made[0] != made[1],
        did=f"sent X-Request-Id: {strange} with two requests",
        expected="two ids, because the shop makes a new one each time",
        got=f"{made[0]} both times",
        why="An id that is made from a stranger's text is still the stranger's, and two requests may share it.",
        look=f"{LOGS}: microservices/chassis/context.py has what every service does",
    )
    _expect_not_mixed(bench, shop, skus[3:])


def _expect_one_id(bench: Bench, shop: Shop, sku: str, sent: str, wanted: str | None) -> str:
    """The page's answer and all lines about it have the id `wanted` (None: one of the shop), which it returns."""
    with _lines(shop, *ON_A_PAGE) as lines:
        page = shop.ask("GET", f"/products/{sku}", headers={"X-Request-Id": sent})
    answered = page.headers.get("X-Request-Id", "")
    bench.expect(
        answered == wanted if wanted else answered and answered != sent,
        expected=f"X-Request-Id: {wanted}" if wanted else "an X-Request-Id that the shop made itself",
        got=f"X-Request-Id: {answered}",
        why="A proper id is a label to search for. Any other text of a stranger has no business in logs and headers.",
        look=f"{LOGS}: microservices/chassis/context.py has what every service does",
    )
    found = lines(lambda each: not _without(each, answered))
    missing = _without(found, answered)
    about = [each for each in found if "/internal/" not in str(each.get("message"))]
    shown = "; ".join(
        f"{each['process']}: {each.get('message')} with {each.get('request_id')}" for each in about
    )
    bench.expect(
        not missing,
        expected=f"a log line with request_id {answered} in each of {', '.join(ON_A_PAGE)}",
        got=f"none in {', '.join(missing)}; their lines: {shown}",
        why="When each process gives a request a new id, its lines cannot be found together.",
        look=f"{REMOTE}; {THREADS}"
        if missing == [RECOMMENDATIONS]
        else f"{LOGS}: microservices.chassis.context",
    )
    return answered


def _without(lines: Sequence[dict[str, Any]], request_id: str) -> list[str]:
    """The processes that have no line with this id."""
    having = {each["process"] for each in lines if each.get("request_id") == request_id}
    return [name for name in ON_A_PAGE if name not in having]


def _expect_not_mixed(bench: Bench, shop: Shop, skus: Sequence[str]) -> None:
    """Several pages at the same time, each with an id of its own."""
    labels = {_label(bench): sku for sku in skus}
    slow = shop.toxic(RECOMMENDATIONS, "latency", stream="upstream", latency=SLOW_MS)
    with _lines(shop, MONOLITH, RECOMMENDATIONS) as lines, slow, ThreadPoolExecutor(len(skus)) as pool:
        for label, sku in labels.items():
            pool.submit(shop.visitor().try_ask, "GET", f"/products/{sku}", headers={"X-Request-Id": label})

    def whose(each: dict[str, Any]) -> str | None:
        return next((sku for sku in skus if f"/products/{sku}" in str(each.get("message"))), None)

    found = lines(lambda each: sum(whose(line) is not None for line in each) >= 2 * len(skus))
    wrong = [line for line in found if (sku := whose(line)) and labels.get(line.get("request_id", "")) != sku]
    bench.expect(
        not wrong,
        did=f"looked at {len(skus)} product pages at the same time, each with an X-Request-Id of its own",
        expected="each page's id in the lines about it, and no other",
        got="; ".join(
            f"{each['process']}: {each['message']} with {each.get('request_id')}" for each in wrong
        ),
        why="An id that is sometimes another visitor's leads to the wrong customer.",
        look=f"{THREADS}; {LOGS}",
    )


@check("log-lines-name-their-trace", task="join", shop=False, seconds=25)
def _(bench: Bench) -> None:
    """Each log line of a request, also a warning, names the request and the trace, and the trace names the request."""
    shop = _shop(bench)
    _well(bench, shop)
    sku = _skus(bench, shop, 1)[0]
    someone = shop.customer()
    someone.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})
    for path, service in ((f"/products/{sku}", RECOMMENDATIONS), ("/api/cart", CATALOG)):
        _expect_named(bench, shop, someone, path, service)
    _well(bench, shop)
    label, named, began = _label(bench), list[str](), time.time_ns()
    for _ in range(2):
        with _lines(shop, MONOLITH) as lines:
            page = someone.ask("GET", "/api/cart", headers={"X-Request-Id": label})
        own = [line for line in lines(bool) if line.get("request_id") == label]
        named += [_trace_of(line) for line in own if _trace_of(line)][:1]
        bench.expect(
            any(
                line.get("status") == page.status and isinstance(line.get("ms"), int | float) for line in own
            ),
            expected=f"a line with request_id {label}, status {page.status} and ms",
            got=" ".join(map(json.dumps, own)) or "no such line",
            why="Status and time are what the line at the end is for.",
            look=f"{LOGS}: Observed",
        )
    spans = _arrived(bench, began, lambda spans: {span.trace_id for span in _of(label, spans)} >= set(named))
    bench.expect(
        len(set(named)) == 2 and {span.trace_id for span in _of(label, spans)} == set(named),
        did=f"sent twice: {page.curl}",
        expected="two lines with this request_id and with two trace ids, both of which are in the traces received",
        got=f"the lines have {_listed(named)}, the traces {_listed(span.trace_id for span in _of(label, spans))}",
        why="Anybody may send the same id twice. It is a label; only the trace's own id says which of the two it was.",
        look=f"{LOGS}: `traceparent`",
    )


def _expect_named(bench: Bench, shop: Shop, someone: Visitor, path: str, service: str) -> None:
    """While `service` breaks off every call, each line that the monolith writes for the request names it."""
    label, began = _label(bench), time.time_ns()
    with _lines(shop, MONOLITH) as lines, _broken(shop, service):
        answer = someone.ask("GET", path, headers={"X-Request-Id": label})
    found = [
        each
        for each in lines(lambda each: any(map(_warns, each)))
        if service in str(each.get("message")) or path in str(each.get("message"))
    ]
    warnings = [each for each in found if _warns(each)]
    bad = [each for each in found if each.get("request_id") != label]
    did = f"broke off every call to {service}: {answer.curl}"
    look = f"{LOGS}: JsonLines"
    bench.expect(
        warnings and not bad,
        did=did,
        expected=f"log lines with request_id {label}, a warning among them",
        got=" ".join(map(_shown, bad or found)) or "no line",
        why="A warning that does not say whose request failed can only be counted.",
        look=look,
    )
    spans = _arrived(bench, began, lambda spans: bool(_of(label, spans)))
    known = {span.trace_id for span in _of(label, spans)}
    wrong = [each for each in found if _trace_of(each) not in known]
    bench.expect(
        not wrong,
        did=did,
        expected=f"lines whose traceparent has the trace's id, {_listed(known)}",
        got=" ".join(map(_shown, wrong)),
        why="From a line you want to get to the trace, and from there to the lines of all others.",
        look=f"{look}; microservices/chassis/spans.py has `traceparent`",
    )


@check("metrics-name-the-callee", task="join", shop=False, seconds=25)
def _(bench: Bench) -> None:
    """The monolith's /metrics count the calls to each service, by outcome, and the requests sent for them."""
    shop = _shop(bench)
    _well(bench, shop)
    skus = _skus(bench, shop, PAGES)
    before, sent_before = _metrics(bench, shop), {name: _answered(shop, name) for name in SLOW_TABLES}
    for sku in skus:
        shop.ask("GET", f"/products/{sku}")
    more = _metrics(bench, shop) - before
    for name in SLOW_TABLES:
        sent = round(_answered(shop, name) - sent_before[name])
        ok, attempts = more[("calls", name, "ok")], more[("attempts", name, "")]
        bench.expect(
            sent and ok == sent and attempts == sent,
            did=f"looked at {PAGES} product pages, which made {sent} calls to {name}; read the monolith's /metrics",
            expected=f'{sent} more of upstream_calls_total{{upstream="{name}",outcome="ok"}}, '
            f'and of upstream_attempts_total{{upstream="{name}"}}',
            got=f"{ok:.0f} and {attempts:.0f} more; " + _series(more),
            why="Which service fails is the first question in an outage, and a counter is the first to answer.",
            look=REMOTE if name == RECOMMENDATIONS else f"{CLIENT}: who reads the Metrics that it counts in?",
        )
    before, began = _metrics(bench, shop), time.time_ns()
    with _broken(shop, RECOMMENDATIONS):
        failing = _skus(bench, shop, FAILING_PAGES)
        for sku in failing:
            shop.ask("GET", f"/products/{sku}")
    more = _metrics(bench, shop) - before
    calls = {key: number for key, number in more.items() if key[:2] == ("calls", RECOMMENDATIONS) and number}
    attempts = more[("attempts", RECOMMENDATIONS, "")]
    spans = _arrived(bench, began, lambda spans: _sent(spans) >= attempts, settle=True)
    did = (
        f"let calls to {RECOMMENDATIONS} fail, looked at {FAILING_PAGES} pages, read the monolith's /metrics"
    )
    bench.expect(
        sum(calls.values()) == FAILING_PAGES
        and not calls.get(("calls", RECOMMENDATIONS, "ok"))
        and calls.get(("calls", RECOMMENDATIONS, "refused-by-breaker")),
        did=did,
        expected=f"{FAILING_PAGES} more calls, none of them ok and some of them refused-by-breaker",
        got=_series(more),
        why="One question is one call, however often it was sent.",
        look=REMOTE,
    )
    bench.expect(
        attempts == _sent(spans),
        did=did,
        expected=f"{_sent(spans)} more attempts, as many as requests were sent",
        got=f"{attempts:.0f} more; {_series(more)}",
        why="More attempts than calls are repeats, fewer are refusals. Counters that mix the two show neither.",
        look=REMOTE,
    )
    _well(bench, shop)
    before = _metrics(bench, shop)
    with shop.toxic(RECOMMENDATIONS, "answer", status=500):
        for sku in failing:
            shop.ask("GET", f"/products/{sku}")
    more = Counter(calls) + (_metrics(bench, shop) - before)
    outcomes = {outcome for kind, name, outcome in more if (kind, name) == ("calls", RECOMMENDATIONS)}
    bench.expect(
        len(outcomes) <= MAX_OUTCOMES and not any(sku in outcome for sku in failing for outcome in outcomes),
        did=f"broke off the calls of {FAILING_PAGES} pages, and let the same pages be answered by a 500",
        expected="a few outcomes that are the same for every product, such as unavailable",
        got=_series(more),
        why="Every value of a label is a series that is kept for ever. Texts, paths and ids do not belong there.",
        look=f"{REMOTE}: is the outcome a word of yours?",
    )


def _sent(spans: Sequence[Span]) -> int:
    """Requests to recommendations, by their spans."""
    return sum(span.attributes.get("peer.service") == RECOMMENDATIONS and _is_sent(span) for span in spans)


@check("off-costs-nothing", task="join", shop=False)
def _(bench: Bench) -> None:
    """Without OTEL_EXPORTER_OTLP_ENDPOINT the monolith loads nothing of OpenTelemetry, also while it works."""
    services = (CATALOG, RECOMMENDATIONS, "inventory")
    nowhere = dict.fromkeys((f"SHOP_{name.upper()}_URL" for name in services), "http://127.0.0.1:9")
    database = sqlite_url(scratch() / f"off-{bench.random.getrandbits(48):x}.sqlite3")
    own = {
        "SHOP_HOME": str(scratch()),
        "SHOP_DATABASE_URL": database,
        "SHOP_SWITCH_FILE": _all_to_the_service(),
    }
    ran = bench.python(OFF, env={**own, **nowhere, "OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    lines = ran.out.strip().splitlines()
    did = "made the monolith's application without tracing, asked it for pages, and looked at the loaded modules"
    bench.expect(
        ran.status == 0 and lines,
        did=did,
        expected="an application that answers",
        got=(ran.err.strip().splitlines() or ["it ended without a word"])[-1],
        why="Tracing is optional: most who run this shop have not installed it.",
        look=LOGS,
    )
    loaded, counted = json.loads(lines[-1])
    bench.expect(
        not loaded,
        did=did,
        expected="nothing of OpenTelemetry",
        got=", ".join(loaded[:3]),
        why="What is off must cost nothing, and must work where it is not installed.",
        look=f"{LOGS}; {REMOTE}: microservices/chassis/spans.py imports nothing before it knows that tracing is on",
    )
    logged = [line for line in map(_parsed, ran.err.splitlines()) if line]
    warnings = [line for line in logged if _warns(line) and RECOMMENDATIONS in str(line.get("message"))]
    bench.expect(
        warnings and all(line.get("request_id") == LABEL_WHEN_OFF for line in warnings),
        did="made the monolith's application without tracing, asked it for a page, and read its log",
        expected=f"a warning about {RECOMMENDATIONS} with the request_id {LABEL_WHEN_OFF}, also without tracing",
        got=" ".join(map(_shown, warnings or logged)) or "no line",
        why="Tracing is not always on. What a log line says must not depend on it.",
        look=f"{LOGS}: JsonLines",
    )
    between = [line for line in logged if line.get("message") == BETWEEN]
    bench.expect(
        between and not between[0].get("request_id"),
        did="asked the application for pages, and logged a line when no request was there any more",
        expected="no request_id in it",
        got=" ".join(map(_shown, between)) or "no such line",
        why="What is logged between two requests, or in the background, is nobody's.",
        look=f"{LOGS}: what `enter` returns is given to `leave` when the request has ended",
    )
    named = {name for name in SLOW_TABLES if f'upstream="{name}"' in counted}
    bench.expect(
        named == SLOW_TABLES.keys(),
        did="made the monolith's application without tracing, asked it for pages, and read its /metrics",
        expected=f"calls to {_listed(SLOW_TABLES)}, also without tracing",
        got=f"calls to {_listed(named)}",
        why="Tracing is not always on. What is counted must not depend on it.",
        look=f"{REMOTE}; {CLIENT}",
    )


LABEL_WHEN_OFF, BETWEEN = "not-traced", "between two requests"
OFF = f"""
import json, logging, sys
from monolith.app import create_app
from monolith.chassis.observability import configure_logging
configure_logging("info")
client = create_app().test_client()
for path in 8 * ("/products/P00001",) + ("/", "/healthz"):
    client.get(path, headers={{"X-Request-Id": "{LABEL_WHEN_OFF}"}})
logging.getLogger("check").warning("{BETWEEN}")
loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "opentelemetry")
print(json.dumps([loaded, client.get("/metrics").text]))
"""
"""Nothing answers there, so that the breaker opens too."""


# ---- task 3


@check("finds-it-in-any-trace", task="find", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """`slowest.py` names the right span in traces that it has not seen: parallel calls, gaps, clocks that differ."""
    for says, make in CASES.items():
        _expect_found(bench, make(Draft(bench.random)), f"gave {FINDER} a trace in which {says}")
    for _ in range(3):
        _expect_found(bench, any_trace(bench.random), f"gave {FINDER} a trace drawn at random")


@check("finds-the-hop-that-is-slow", task="find", shop=False, seconds=30, until="choose-freely")
def _(bench: Bench) -> None:
    """A hop of your shop is made slow at random, and `slowest.py` names it from the trace of one request."""
    shop = _shop(bench)
    _well(bench, shop)
    someone = shop.customer()
    left = _hops(bench, shop)
    names, unclear = ", ".join(hop.name for hop in left), ""
    for _ in range(TRIES):
        began, skus = time.time_ns(), _skus(bench, shop, len(left))
        seen = [(hop, _visit(bench, someone, hop, sku)) for hop, sku in zip(left, skus, strict=True)]
        labels = [_request_id(answer) for _, answer in seen]
        spans = _arrived(
            bench, began, lambda spans, labels=labels: all(_of(each, spans) for each in labels), settle=True
        )
        found = {hop: _judge(bench, hop, answer, _of(_request_id(answer), spans)) for hop, answer in seen}
        left = [hop for hop, slower in found.items() if slower]
        if not left:
            bench.note(f"found {names}")
            return
        unclear = "; ".join(f"{hop.name} was made slow, and slower was {found[hop]}" for hop in left)
    raise bench.inconclusive(unclear)


@dataclass(frozen=True)
class Hop:
    """Something that a request waits for, and how it is made slow."""

    name: str
    fault: Callable[[], AbstractContextManager[None]]
    is_it: Callable[[Span], bool]
    """Whether this is the span that names it."""
    request: tuple[str, str] = ("GET", "/products/{sku}")


def _hops(bench: Bench, shop: Shop) -> list[Hop]:
    """A way, a statement and a lock, in any order."""
    callee, reader = (bench.random.choice((CATALOG, RECOMMENDATIONS)) for _ in range(2))
    return bench.random.sample(
        [
            Hop(
                f"the way from the monolith to {callee}",
                lambda: shop.toxic(callee, "latency", stream="upstream", latency=SLOW_MS),
                lambda span: span.service == MONOLITH and span.attributes.get("peer.service") == callee,
            ),
            Hop(
                f"a statement of {reader}",
                lambda: _slow_table(shop, reader),
                lambda span: span.service == reader and "db.query.text" in span.attributes,
            ),
            Hop(
                "a lock of the monolith's database",
                lambda: _locked(shop),
                lambda span: (
                    span.service == MONOLITH and "BEGIN" in str(span.attributes.get("db.query.text"))
                ),
                ("DELETE", "/api/cart/items/{sku}"),
            ),
        ],
        3,
    )


def _visit(bench: Bench, someone: Visitor, hop: Hop, sku: str) -> Answer:
    """The request while the hop is slow."""
    method, path = hop.request
    with hop.fault():
        return someone.ask(method, path.format(sku=sku), headers={"X-Request-Id": _label(bench)})


def _judge(bench: Bench, hop: Hop, answer: Answer, spans: list[Span]) -> str:
    """NotYet unless the learner's program finds it. Returns what else was slower, so that it says nothing; or ""."""
    did = f"made {hop.name} slow: {answer.curl}"
    bench.expect(
        any(map(hop.is_it, spans)),
        did=did,
        expected="a trace in which this hop is",
        got=_halves(spans),
        why="Nobody can find in a trace what is not in it.",
        look="task 1",
    )
    slow = slowest_of(spans)
    if slow is None or not hop.is_it(slow.span):
        return _named(slow)
    _expect_found(bench, spans, did, drawn=False)
    return ""


def _expect_found(bench: Bench, spans: Sequence[Span], did: str, *, drawn: bool = True) -> None:
    """Give the trace to the learner's program, which has to name the span that the course's own tool names."""
    slow = slowest_of(spans)
    assert slow is not None
    file = scratch() / "trace.json"
    shuffled = bench.random.sample(list(spans), len(spans))
    file.write_text(json.dumps([_document(span) for span in shuffled]), encoding="utf-8")
    ran = bench.run(FINDER, str(file))
    answer = _answer(ran.out)
    named = next((span for span in spans if span.span_id == answer.get("span_id")), None)
    shown = f"{did}:\n{_drawn(spans)}" if drawn else did
    why = "Only work that the request waited for can make it faster, and each moment of it counts once."
    bench.expect(
        named is slow.span,
        did=shown,
        expected=f"the span {_named(slow)}",
        got=_title(named) if named else _failure(ran),
        why=why,
        look=f"{FINDER}: slowest",
    )
    wanted = (slow.end - slow.start) / MILLI
    took = answer.get("ms")
    bench.expect(
        isinstance(took, int | float) and abs(took - wanted) <= 0.01 * wanted + 0.01,
        did=shown,
        expected=f"{wanted:.1f} ms: what {_named(slow)} itself took of the critical path",
        got=f"{took} ms",
        why=why,
        look=f"{FINDER}: slowest",
    )


def _answer(out: str) -> dict[str, Any]:
    try:
        found = json.loads((out.strip().splitlines() or [""])[-1])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _failure(ran: Any) -> str:
    last = (ran.err.strip().splitlines() or ["no span of this trace"])[-1]
    return f"{last}, exit status {ran.status}; printed {ran.out.strip()[:200] or 'nothing'}"


def _named(slow: Segment | None) -> str:
    return (
        f"{_title(slow.span)}, {(slow.end - slow.start) / MILLI:.0f} ms by itself"
        if slow
        else "no single span"
    )


def _title(span: Span) -> str:
    callee = span.attributes.get("peer.service")
    statement = str(span.attributes.get("db.query.text", ""))[:30]
    return f"{span.span_id} ({span.service}: {statement or span.name}{f' → {callee}' if callee else ''})"


def _document(span: Span) -> dict[str, Any]:
    return {name: getattr(span, name) for name in Span.__dataclass_fields__}


def _drawn(spans: Sequence[Span]) -> str:
    """A line for each span: from and to in milliseconds, its id and that of its parent."""
    zero = next(span.start for span in spans if span.parent_id is None)
    return "\n".join(
        f"{(span.start - zero) / MILLI:.0f} to {(span.end - zero) / MILLI:.0f} ms: {_title(span)}"
        f"{f', for {span.parent_id}' if span.parent_id else ''}"
        for span in sorted(spans, key=lambda span: span.start)
    )


# ---- what is slow or broken


@contextmanager
def _slow_table(shop: Shop, service: str) -> Iterator[None]:
    """Each read of one of the service's tables takes a while, as without an index."""
    table, file = SLOW_TABLES[service], shop.database(service)
    counting = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS[service]})"  # noqa: S608
    view = (
        f'CREATE VIEW "{table}" AS SELECT * FROM "{table}_kept" WHERE ({counting} SELECT max(i) FROM n) > 0'  # noqa: S608
    )
    _execute(file, "PRAGMA legacy_alter_table = ON", f'ALTER TABLE "{table}" RENAME TO "{table}_kept"', view)
    try:
        yield
    finally:
        back = f'ALTER TABLE "{table}_kept" RENAME TO "{table}"'
        _execute(file, "PRAGMA legacy_alter_table = ON", f'DROP VIEW "{table}"', back)


def _execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


@contextmanager
def _locked(shop: Shop) -> Iterator[None]:
    """Somebody else holds the write lock of the monolith's database for a while."""
    held, file = threading.Event(), shop.database(MONOLITH)

    def hold() -> None:
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            held.set()
            time.sleep(LOCK_SECONDS)
            db.execute("ROLLBACK")

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        yield
    finally:
        holder.join()


@contextmanager
def _broken(shop: Shop, service: str) -> Iterator[None]:
    """Every call to the service is broken off."""
    with shop.toxic(service, "reset_peer", timeout=0):
        yield


def _well(bench: Bench, shop: Shop) -> None:
    """Until pages have recommendations and the catalog answers; breakers may be open."""
    sku = _skus(bench, shop, 1)[0]
    page = Answer(0, {}, "not asked", 0.0, "")

    def is_well() -> bool:
        nonlocal page
        page = shop.try_ask("GET", f"/products/{sku}")
        return page.status == 200 and ">Bestsellers<" not in page.text

    def seen() -> str:
        shown = "a page with bestsellers instead" if page.status == 200 else f"{page}"
        return f"{shown}{_last_error(shop)}"

    bench.wait_until(is_well, RECOVER_SECONDS, "a product page with recommendations", seen)


def _last_error(shop: Shop) -> str:
    """How the monolith's last traceback ends, in words; "" without one."""
    tracebacks = [
        str(line["traceback"]) for line in map(_parsed, shop.log(MONOLITH).tail(200)) if "traceback" in line
    ]
    return f"; the monolith's log has: {tracebacks[-1].strip().splitlines()[-1]};" if tracebacks else ""


# ---- the shop, its traces, logs and metrics


def _shop(bench: Bench) -> Shop:
    """The learner's shop with tracing and a line for each request. Inconclusive where tracing is not installed."""
    try:
        url = tracing.receiver_url()
    except ImportError:
        raise bench.inconclusive(EXTRAS) from None
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "SHOP_LOG_LEVEL": "info",
        "SHOP_SWITCH_FILE": _all_to_the_service(),
    }
    return bench.shop(proxied=(CATALOG, RECOMMENDATIONS), env=env)


def _all_to_the_service() -> str:
    file = scratch() / "all-to-the-service.json"
    file.write_text('{"remote_percent": 100}', encoding="utf-8")
    return str(file)


def _arrived(
    bench: Bench, began: int, enough: Callable[[list[Span]], bool], *, settle: bool = False
) -> list[Span]:
    """The spans begun since `began` (nanoseconds), when they are enough, or after some seconds."""
    return tracing.arrived(began, enough, lambda: bench.busy() > BUSY, settle=settle)


def _of(request_id: str, spans: Sequence[Span]) -> list[Span]:
    """The spans of the traces that begin with this request."""
    own = {span.trace_id for span in spans if span.request_id == request_id and span.service == MONOLITH}
    return [span for span in spans if span.trace_id in own]


def _request_id(answer: Answer) -> str:
    return answer.headers.get("X-Request-Id", "none")


def _label(bench: Bench) -> str:
    return f"check-{bench.random.getrandbits(48):012x}"


Lines = Callable[[Callable[[list[dict[str, Any]]], object]], list[dict[str, Any]]]


@contextmanager
def _lines(shop: Shop, *processes: str) -> Iterator[Lines]:
    """Reads what the processes log from here on: waits a moment until there is enough."""
    files = {name: Path(shop.log(name).path) for name in processes}  # type: ignore[attr-defined]
    sizes = {name: file.stat().st_size for name, file in files.items()}

    def read() -> list[dict[str, Any]]:
        found = []
        for name, file in files.items():
            for text in file.read_bytes()[sizes[name] :].decode("utf-8", "replace").splitlines():
                line = _parsed(text)
                if line and "/readyz" not in str(line.get("message")):
                    found.append({**line, "process": name})
        return found

    def lines(enough: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 2
        while not enough(read()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return read()

    yield lines


def _parsed(text: str) -> dict[str, Any]:
    """A log line; empty when it is no JSON object."""
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _warns(line: dict[str, Any]) -> bool:
    return line.get("level") == "warning"


def _trace_of(line: dict[str, Any]) -> str:
    found = TRACE_ID.fullmatch(str(line.get("traceparent")))
    return found[1] if found else ""


def _shown(line: dict[str, Any]) -> str:
    wanted = ("level", "message", "request_id", "traceparent")
    return json.dumps({name: line.get(name) for name in wanted})


def _listed(values: Any) -> str:
    return ", ".join(dict.fromkeys(values)) or "none"


def _metrics(bench: Bench, shop: Shop) -> Counter[tuple[str, str, str]]:
    """The monolith's counters of calls and attempts, by upstream and outcome. NotYet for other labels."""
    found: Counter[tuple[str, str, str]] = Counter()
    for kind, labels, number in SERIES.findall(_text(shop, MONOLITH)):
        named = dict(LABEL.findall(labels))
        extra = named.keys() - {"upstream", "outcome"}
        bench.expect(
            not extra,
            did="read the monolith's /metrics",
            expected="the labels upstream and outcome",
            got=f"upstream_{kind}_total{{{labels}}}",
            why="Every value of a label is a series that is kept for ever. Texts, paths and ids do not belong there.",
            look=f"{REMOTE}; {LOGS}",
        )
        found[(kind, named.get("upstream", ""), named.get("outcome", ""))] += float(number)  # type: ignore[assignment]
    return found


def _answered(shop: Shop, service: str) -> float:
    """How many requests for one of its APIs the service has answered."""
    return sum(float(number) for number in ANSWERED.findall(_text(shop, service)))


def _text(shop: Shop, service: str) -> str:
    with requests.Session() as session, suppress(requests.RequestException):
        session.trust_env = False
        return session.get(
            f"http://127.0.0.1:{shop.fleet.replicas(service)[0].port}/metrics", timeout=10
        ).text
    return ""


def _series(more: Counter[tuple[str, str, str]]) -> str:
    parts = [
        f'upstream_{kind}_total{{upstream="{name}"{f",outcome={outcome!r}" if outcome else ""}}} {number:+.0f}'
        for (kind, name, outcome), number in sorted(more.items())
        if number
    ]
    return "; ".join(parts[:8]) or "no counter of a call has grown"


def _skus(bench: Bench, shop: Shop, number: int) -> list[str]:
    """SKUs of some products, drawn at random."""
    body = shop.ask("GET", "/api/products?page_size=100").json()
    items = body.get("items") if isinstance(body, dict) else None
    skus = [item["sku"] for item in items or [] if isinstance(item, dict) and "sku" in item]
    bench.expect(
        len(skus) >= number,
        expected="a hundred products",
        got=f"{len(skus)} products",
        why="The checks choose their products from this list.",
        look="Caddyfile",
    )
    return bench.random.sample(skus, number)

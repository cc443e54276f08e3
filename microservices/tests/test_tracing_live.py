"""A checkout is one connected trace, in either shop, also when it is interrupted; off, tracing imports nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from microservices.tests.conftest import call, wait_until
from microservices.tests.live import running_shop
from microservices.tests.shops import CARD
from microservices.tracing.receiver import Receiver
from microservices.tracing.store import TraceStore
from microservices.tracing.trace import trees, walk
from microservices.tracing.view import view

pytestmark = pytest.mark.processes
CALLED = {"accounts", "cart", "catalog", "inventory", "payments"}


@pytest.fixture
def receiver(tmp_path):
    with Receiver(tmp_path / "traces.sqlite3") as receiver:
        yield receiver


@pytest.fixture
def store(tmp_path, receiver):
    store = TraceStore(tmp_path / "traces.sqlite3")
    yield store
    store.close()


def check_out(shop, request_id, customer="C00001"):
    """Buy one thing in a request with this id; returns the answer."""
    shop.put_in_cart(customer, "P00001")
    headers = {"Idempotency_Key": f"key-{request_id}", "X_Request_Id": request_id}
    return shop.ask(customer, "POST", "/api/orders", {"card_number": CARD}, **headers)


def spans_of(store, request_id, services, *, whole=True):
    """The spans of the request, once all these services have sent theirs and, if `whole`, all parents have arrived."""

    def own():
        spans = store.spans(store.traces_of(request_id))
        traces = {span.trace_id for span in spans if span.request_id == request_id}
        return [span for span in spans if span.trace_id in traces]

    def complete():
        spans = own()
        parents = {span.parent_id for span in spans} - {span.span_id for span in spans}
        return {span.service for span in spans} >= services and (parents == {None} or not whole)

    wait_until(complete)
    return own()


def begins(home):
    """The names of all spans whose parent is not in the store."""
    with closing(sqlite3.connect(home / "traces.sqlite3")) as db:
        query = (
            "SELECT name FROM spans WHERE parent_id IS NULL OR parent_id NOT IN (SELECT span_id FROM spans)"
        )
        return {name for (name,) in db.execute(query)}


def shown_once(store, request_id, is_complete):
    """The view of the request once it is complete."""

    def complete():
        found.append(view(request_id, store.spans(store.traces_of(request_id))))
        return found[-1] is not None and is_complete(found[-1])

    found = []
    wait_until(complete)
    return found[-1]


@pytest.mark.parametrize(
    ("name", "services"),
    [("split", CALLED | {"orders", "gateway"}), ("monolith", {"monolith", "gateway"})],
)
def test_a_checkout_is_one_connected_trace(tmp_path, receiver, store, name, services):
    with running_shop(name, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        assert check_out(shop, "followed-1").status == 201
        spans = spans_of(store, "followed-1", services)
    [root] = trees(spans)
    assert (root.span.service, root.span.attributes["http.response.status_code"]) == ("gateway", 201)
    assert not any(node.missing for _, node in walk(root))
    shown = view("followed-1", spans)
    assert shown.waterfall[0].name == "POST /api/orders"
    assert {call.callee for call in shown.calls} == services - {root.span.service}
    assert any(row.name.startswith("INSERT INTO orders") for row in shown.waterfall)
    assert any(row.name == "price the cart" for row in shown.waterfall)
    waited = sum(milliseconds for _, milliseconds in shown.waited_for)
    assert waited == pytest.approx(shown.milliseconds)


def test_a_reader_of_the_orders_events_is_linked_and_what_is_idle_or_refused_leaves_no_trace(
    tmp_path, receiver, store
):
    with running_shop("split", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        for path in ("/readyz", "/healthz", "/internal/events"):
            assert call(shop.port, "GET", path).status == 404
        assert check_out(shop, "followed-1").status == 201
        [later] = shown_once(store, "followed-1", lambda shown: shown.later).later
        # By now the launcher has probed, and both background loops have had many turns with nothing to do.
        wait_until(lambda: begins(tmp_path) == {"PUT", "POST", "apply events of orders"})
    assert later.services == ("recommendations",)
    assert later.waterfall[0].name == "apply events of orders"


def test_a_refused_request_has_the_status_that_its_client_got(tmp_path, receiver, store):
    with running_shop("monolith", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        shop.fleet.scale("monolith", 0)
        assert call(shop.port, "GET", "/api/products", X_Request_Id="refused-1").status == 503
        [root] = trees(spans_of(store, "refused-1", {"gateway"}))
    assert root.span.attributes["http.response.status_code"] == 503
    assert root.span.failed


def test_a_replica_killed_in_the_middle_of_a_checkout_is_a_gap_and_the_recovery_is_linked(
    tmp_path, receiver, store
):
    replicas = {"orders": 2}
    with running_shop("split", tmp_path, replicas=replicas, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        shop.put_in_cart("C00001", "P00001")  # before the crash is prepared
        shop.crash_at.write_text("orders.place: after POST /internal/reservations", encoding="utf-8")
        # The gateway asked the other replica, which says that the checkout is still in progress.
        assert check_out(shop, "interrupted-1").status == 409
        shop.expire_leases()
        shown = shown_once(
            store,
            "interrupted-1",
            lambda shown: (
                shown.later
                and any(row.gap for row in shown.waterfall)
                and "payments" in shown.later[0].services
            ),
        )
        services = {"gateway", "orders", "cart", "catalog", "inventory"}
        spans = spans_of(store, "interrupted-1", services, whole=False)
    [root] = trees(spans)
    [gap] = [node for node in root.children if node.missing]
    assert root.span.service == "gateway"
    assert {"cart", "catalog", "inventory"} <= {child.span.service for child in gap.children}
    assert shown.later[0].waterfall[0].name == "take up an interrupted checkout"


def test_a_dead_service_is_a_gap_with_its_name_each_attempt_is_a_span_and_so_is_a_refusal_by_the_breaker(
    tmp_path, receiver, store
):
    with running_shop("split", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        shop.fleet.scale("payments", 0)
        sent = []

        def refused():
            sent.append(f"unpaid-{len(sent)}")
            check_out(shop, sent[-1])
            views = (view(each, store.spans(store.traces_of(each))) for each in sent)
            rows = [row for shown in views if shown for row in shown.waterfall]
            return [row for row in rows if row.name == "not called, the breaker is open → payments"]

        wait_until(refused)
        assert all(row.failed for row in refused())
        spans = spans_of(store, "unpaid-0", {"gateway", "orders", "inventory"})
    nodes = [node for root in trees(spans) for _, node in walk(root)]
    assert "payments" in {node.span.service for node in nodes if node.missing}
    buying = next(node for node in nodes if node.span.name == "reserve, capture and confirm")
    attempts = [child for child in buying.children if child.span.attributes.get("peer.service") == "payments"]
    assert len(attempts) > 1
    assert all(attempt.span.failed for attempt in attempts)


@pytest.mark.parametrize(
    "code",
    [
        "from monolith.app import create_app; create_app()",
        "import os; from microservices.payments.app import create_app; create_app(dict(os.environ))",
    ],
)
def test_with_tracing_off_nothing_of_it_is_imported(tmp_path, code):
    check = f"{code}\nimport sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    env = {"SHOP_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", check], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

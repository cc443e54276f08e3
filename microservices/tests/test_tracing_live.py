"""A checkout is one connected trace, in either shop; with tracing off, nothing of OpenTelemetry is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from microservices.tests.conftest import wait_until
from microservices.tests.live import running_shop
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


def bought(shop, request_id):
    shop.put_in_cart("C00001", "P00001")
    headers = {"Idempotency_Key": "trace-0001", "X_Request_Id": request_id}
    answer = shop.ask("C00001", "POST", "/api/orders", {"card_number": "4242424242424242"}, **headers)
    assert answer.status == 201


def spans_of(store, request_id, services):
    """The spans of the request, once all these services have sent theirs and all parents have arrived."""

    def complete():
        spans = store.spans(store.traces_of(request_id))
        return {span.service for span in spans} >= services and len(trees(spans)) == 1

    wait_until(complete)
    return store.spans(store.traces_of(request_id))


@pytest.mark.parametrize(("name", "services"), [("split", CALLED | {"orders"}), ("monolith", {"monolith"})])
def test_a_checkout_is_one_connected_trace(tmp_path, receiver, store, name, services):
    with running_shop(name, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        bought(shop, "followed-1")
        spans = spans_of(store, "followed-1", services)
    [root] = trees(spans)
    assert not any(node.missing for _, node in walk(root))
    shown = view("followed-1", spans)
    assert {call.callee for call in shown.calls} == services - {root.span.service}
    assert any(row.name.startswith("INSERT INTO orders") for row in shown.waterfall)
    assert any(row.name == "price the cart" for row in shown.waterfall)
    waited = sum(milliseconds for _, milliseconds in shown.waited_for)
    assert waited == pytest.approx(shown.milliseconds)


def test_a_service_that_dies_in_the_middle_of_a_checkout_is_a_gap_with_its_name(tmp_path, receiver, store):
    with running_shop("split", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as shop:
        shop.put_in_cart("C00001", "P00001")
        shop.fleet.scale("payments", 0)
        shop.ask(
            "C00001",
            "POST",
            "/api/orders",
            {"card_number": "4242424242424242"},
            Idempotency_Key="trace-0002",
            X_Request_Id="followed-2",
        )
        spans = spans_of(store, "followed-2", {"orders", "inventory"})
    gaps = [node.span.service for root in trees(spans) for _, node in walk(root) if node.missing]
    assert "payments" in gaps


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

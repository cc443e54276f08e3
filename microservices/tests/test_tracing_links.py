"""Work that goes on after its request ended is linked with it; idle work leaves no span. In this process."""

from __future__ import annotations

from contextlib import suppress

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select, text

from microservices.chassis import spans, tracing
from microservices.chassis.runtime import runtime
from microservices.orders.models import OrderTrace, Outbox
from microservices.tests.boundaries import Crash, installed
from microservices.tests.shops import shop_on

CUSTOMER, SKU = "C00001", "P00001"


@pytest.fixture
def finished(monkeypatch):
    """Tracing is on; the spans that have ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter.get_finished_spans
    provider.shutdown()


@pytest.fixture(params=["split sqlite", "split postgresql"])
def shop(request, tmp_path):
    with shop_on(request.param, tmp_path) as shop:
        yield shop


def order(shop, key):
    """Check out in a traced request; returns its trace id."""
    assert shop.put_in_cart(CUSTOMER, SKU).status == 200
    with tracing.tracer().start_as_current_span("request") as span:
        shop.check_out(CUSTOMER, key)
    return span.get_span_context().trace_id


def linked_traces(finished, name):
    """For each span with this name the traces that it is linked with."""
    return [[link.context.trace_id for link in span.links] for span in finished() if span.name == name]


def stored(shop, column):
    with shop.database("orders").reading() as db:
        return list(db.execute(select(column)).scalars())


def test_the_reader_of_the_feed_is_linked_with_each_request_whose_event_is_new(shop, finished):
    one, two = order(shop, "traced-0001"), order(shop, "traced-0002")
    shop.run_loops()
    three = order(shop, "traced-0003")
    shop.run_loops()
    assert linked_traces(finished, "apply events of orders") == [[one, two], [three]]


def test_the_recovery_of_an_interrupted_checkout_is_linked_with_the_request_that_began_it(shop, finished):
    def crash(boundary):
        if boundary == "orders.place: after POST /internal/reservations":
            raise Crash

    with installed(crash), suppress(Crash):
        order(shop, "traced-0001")
    began = next(span.context.trace_id for span in finished() if span.name == "request")
    shop.settle()
    assert linked_traces(finished, "take up an interrupted checkout") == [[began]]
    [recovery] = [span for span in finished() if span.name == "take up an interrupted checkout"]
    assert recovery.parent is None
    assert recovery.context.trace_id != began


def test_with_tracing_off_neither_the_event_nor_the_order_holds_a_trace(shop):
    shop.put_in_cart(CUSTOMER, SKU)
    shop.check_out(CUSTOMER, "quiet-0001")
    assert not any("traceparent" in data for data in stored(shop, Outbox.data))
    assert stored(shop, OrderTrace.order_id) == []


def test_an_existing_database_of_orders_is_given_the_table_of_traces_at_start(shop):
    database = shop.database("orders")
    with database.writing() as db:
        db.execute(text("DROP TABLE order_traces"))
    database.create_tables()
    assert database.misfit() == ""


def test_a_turn_that_finds_nothing_leaves_no_span(shop, finished):
    shop.settle()
    assert finished() == ()


def test_what_is_no_traceparent_is_not_linked(finished):
    with spans.linked("work", ["nonsense", 7, None]):
        pass
    [span] = finished()
    assert list(span.links) == []


def test_an_unrecorded_block_makes_no_span_and_stores_no_trace(finished):
    with spans.unrecorded(), tracing.tracer().start_as_current_span("inside"):
        assert spans.traceparent() is None
    assert finished() == ()


def test_a_refusal_by_the_open_breaker_is_a_failed_span_below_the_request(tmp_path, finished):
    with shop_on("split sqlite", tmp_path) as shop:
        breaker = runtime(shop.app("orders")).upstreams["payments"].breaker
        for _ in range(5):
            breaker.failed(breaker.admit())
        trace = order(shop, "traced-0001")
    refused = [span for span in finished() if span.name == "not called, the breaker is open"]
    assert refused
    assert {span.context.trace_id for span in refused} == {trace}
    assert {span.attributes["peer.service"] for span in refused} == {"payments"}
    assert not any(span.status.is_ok for span in refused)

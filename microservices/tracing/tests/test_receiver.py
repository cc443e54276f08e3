"""What arrives over OTLP is stored and found again; what is no export is refused."""

from __future__ import annotations

import gzip

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from microservices.tracing import receiver
from microservices.tracing.receiver import create_app
from microservices.tracing.span import REQUEST_ID, Span
from microservices.tracing.store import TraceStore

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture
def store(tmp_path):
    made = TraceStore(tmp_path / "traces.sqlite3", most=50)
    yield made
    made.close()


@pytest.fixture
def client(store):
    return create_app(store).test_client()


@pytest.fixture
def export():
    """Spans as OpenTelemetry's own library sends them: a failed call inside a request, linked to another trace."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "orders"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    earlier = tracer.start_span("earlier")
    earlier.end()
    with (
        tracer.start_as_current_span(
            "POST /api/orders",
            kind=SpanKind.SERVER,
            attributes={REQUEST_ID: "r1"},
            links=[Link(earlier.get_span_context())],
        ),
        tracer.start_as_current_span("POST", kind=SpanKind.CLIENT) as call,
    ):
        call.set_status(Status(StatusCode.ERROR))
    return encode_spans(exporter.get_finished_spans()).SerializeToString()


def test_spans_are_found_by_the_request_id_with_those_linked(client, store, export):
    assert client.post("/v1/traces", data=export, headers=PROTOBUF).status_code == 200
    traces = store.traces_of("r1")
    assert len(traces) == 2
    spans = {span.name: span for span in store.spans(traces)}
    served, call = spans["POST /api/orders"], spans["POST"]
    assert (served.service, served.kind, served.request_id, served.failed) == (
        "orders",
        "server",
        "r1",
        False,
    )
    assert (call.parent_id, call.kind, call.failed) == (served.span_id, "client", True)
    assert served.links == (spans["earlier"].trace_id,)
    assert store.newest_requests(5) == [("r1", "POST /api/orders", served.end - served.start, 2)]


def test_a_packed_export_is_read_too(client, store, export):
    headers = PROTOBUF | {"Content-Encoding": "gzip"}
    assert client.post("/v1/traces", data=gzip.compress(export), headers=headers).status_code == 200
    assert store.traces_of("r1")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", PROTOBUF, 400),
        (b"no gzip", PROTOBUF | {"Content-Encoding": "gzip"}, 400),
        (b"{}", {"Content-Type": "application/json"}, 415),
    ],
)
def test_what_is_no_export_is_refused(client, body, headers, status):
    assert client.post("/v1/traces", data=body, headers=headers).status_code == status


def test_an_export_that_unpacks_to_too_much_is_refused(client, monkeypatch):
    monkeypatch.setattr(receiver, "MAX_BYTES", 1000)
    bomb = gzip.compress(bytes(100_000))
    answer = client.post("/v1/traces", data=bomb, headers=PROTOBUF | {"Content-Encoding": "gzip"})
    assert answer.status_code == 413


def test_the_oldest_spans_are_dropped_when_there_are_too_many(store):
    for number in range(60):
        attributes = {REQUEST_ID: f"r{number}"}
        store.add(
            [Span(f"t{number}", f"s{number}", None, "shop", "x", "server", 0, 1, attributes=attributes)]
        )
    assert store.traces_of("r5") == []
    assert store.traces_of("r59") == ["t59"]


def test_the_oldest_links_are_dropped_too(store):
    early = Span("early", "e", None, "shop", "x", "server", 0, 1, attributes={REQUEST_ID: "r"})
    for number in range(60):
        store.add([Span(f"t{number}", f"s{number}", None, "shop", "x", "server", 0, 1, links=("early",))])
    store.add([early])
    assert len(store.traces_of("r")) == 51

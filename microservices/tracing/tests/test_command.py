"""What `microservices trace --json` prints, and what it says when it cannot."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from microservices.cli import cli
from microservices.tracing.command import UnknownRequest, print_spans
from microservices.tracing.span import REQUEST_ID, Span
from microservices.tracing.store import FILE_NAME, TraceStore


@pytest.fixture
def home(tmp_path):
    """A home with the trace of the request "mine", and one of later work that is linked with it."""
    store = TraceStore(tmp_path / FILE_NAME)
    store.add(
        [
            Span("a" * 32, "1" * 16, None, "orders", "POST", "server", 1, 9, False, {REQUEST_ID: "mine"}),
            Span("a" * 32, "2" * 16, "1" * 16, "orders", "SELECT", "client", 2, 3),
            Span("b" * 32, "3" * 16, None, "mailer", "apply", "consumer", 5, 6, links=("a" * 32,)),
        ]
    )
    store.close()
    return tmp_path


def test_the_spans_of_a_request_are_a_json_list_without_those_of_later_work(home, capsys):
    print_spans(home, "mine")
    spans = json.loads(capsys.readouterr().out)
    assert [span["span_id"] for span in spans] == ["1" * 16, "2" * 16]
    assert spans[1] == json.loads(
        json.dumps(asdict(Span("a" * 32, "2" * 16, "1" * 16, "orders", "SELECT", "client", 2, 3)))
    )


def test_a_request_without_a_trace_is_a_sentence_with_the_next_step(home):
    with pytest.raises(UnknownRequest, match=r"No trace of request other; .*lists the newest"):
        print_spans(home, "other")


def test_a_home_without_traces_is_a_sentence_with_the_next_step(tmp_path):
    with pytest.raises(UnknownRequest, match="start a shop with: microservices up --traces"):
        print_spans(tmp_path, "mine")


@pytest.mark.parametrize("ids", [[], ["one", "two"]])
def test_json_is_of_one_request(ids):
    result = CliRunner().invoke(cli, ["trace", "--json", *ids])
    assert result.exit_code == 2
    assert "give its id" in result.output

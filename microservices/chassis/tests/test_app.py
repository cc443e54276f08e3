"""A small service on the chassis: what every service has in common, seen over HTTP."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from pydantic import Field
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from microservices.chassis import context, database
from microservices.chassis.app import service
from microservices.chassis.auth import current_identity, require_admin, require_customer, require_service
from microservices.chassis.client import upstream
from microservices.chassis.config import ConfigError, sqlite_url
from microservices.chassis.database import Database, reading, upsert, writing
from microservices.chassis.errors import Problem
from microservices.chassis.observability import JsonLines
from microservices.chassis.validation import Body, body, query_number, query_text
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class NotToday(Problem):
    status, slug, title = 409, "not-today", "Not today"


class Thing(Body):
    name: Annotated[str, Field(min_length=1)]
    number: int = 0


api = Blueprint("things", __name__)


@api.get("/things/<name>")
def show(name: str) -> dict[str, Any]:
    with reading() as db:
        return {"count": db.execute(select(Counter.count).where(Counter.name == name)).scalar()}


@api.post("/things")
def add() -> dict[str, Any]:
    thing = body(Thing)
    with writing() as db:
        db.execute(insert(Counter), {"name": thing.name, "count": thing.number})
        if thing.name == "refused":
            raise NotToday("Come back tomorrow.", weekday="Monday")
    return thing.model_dump()


@api.get("/list")
def list_them() -> dict[str, Any]:
    return {"page": query_number("page", 1, 1, 10), "q": query_text("q", 5)}


@api.get("/broken")
def broken() -> dict[str, Any]:
    raise ZeroDivisionError("a secret in a traceback")


@api.get("/who")
def who() -> dict[str, Any]:
    identity = current_identity()
    return {"customer_id": identity.customer_id if identity else None}


@api.get("/mine")
def mine() -> dict[str, Any]:
    return {"customer_id": require_customer().customer_id}


@api.put("/admin")
def admin() -> dict[str, Any]:
    require_admin()
    return body(Thing).model_dump()


@api.get("/internal/things")
def internal() -> dict[str, Any]:
    return {"caller": require_service("friend")}


@api.get("/calls")
def calls() -> dict[str, Any]:
    return {"got": upstream("friend").get("/internal/friends")}


@api.get("/no-database-left")
def no_database_left() -> dict[str, Any]:
    with reading() as db:
        db.execute(text("SELECT * FROM no_such_table"))
    return {}


def create_app(env: Mapping[str, str]) -> Flask:
    return service("things", env, api, base=Base, calls=["friend"], keys_from="identity")


@pytest.fixture
def things(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    things = ServiceUnderTest(
        create_app,
        tmp_path,
        callees={"identity": publish_keys, "friend": lambda *_asked: (200, ["hello"])},
        callers=["friend", "stranger"],
        SHOP_DRAIN_FILE=str(tmp_path / "drain"),
    )
    yield things
    things.close()


@pytest.fixture
def http(things: ServiceUnderTest) -> FlaskClient:
    return things.http


def slug(response: Any) -> str:
    assert response.content_type == "application/problem+json"
    assert response.json["status"] == response.status_code
    return str(response.json["type"]).removeprefix("/problems/")


def test_it_is_healthy_and_ready(http: FlaskClient) -> None:
    assert http.get("/healthz").json == {"status": "ok"}
    assert http.get("/readyz").json == {"status": "ready"}


def test_a_draining_replica_is_alive_but_not_ready(http: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "drain").touch()
    assert http.get("/healthz").status_code == 200
    refused = http.get("/readyz")
    assert (refused.status_code, slug(refused)) == (503, "unavailable")


def test_a_replica_without_its_database_is_not_ready(things: ServiceUnderTest, tmp_path: Path) -> None:
    things.close()
    for file in tmp_path.glob("test.sqlite3*"):
        file.unlink()
    (tmp_path / "test.sqlite3").mkdir()
    assert things.http.get("/readyz").status_code == 503


def test_metrics_count_by_route_template(http: FlaskClient) -> None:
    for name in "abc":
        http.get(f"/things/{name}")
    http.get("/nowhere/at/all")
    metrics = http.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/things/<name>",status="200"} 3.0' in metrics
    assert 'http_requests_total{method="GET",route="(none)",status="404"} 1.0' in metrics
    assert 'http_request_seconds_count{route="/things/<name>"} 3.0' in metrics


@pytest.mark.parametrize("path", ["/things/a", "/nowhere", "/broken", "/mine", "/things/%00"])
def test_every_answer_carries_the_request_id(http: FlaskClient, path: str) -> None:
    assert http.get(path, headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    assert len(http.get(path).headers["X-Request-Id"]) == 32


def test_nothing_of_one_request_is_left_for_the_next(http: FlaskClient) -> None:
    http.get("/broken")
    assert context.current() is None


def test_an_unknown_path_and_a_wrong_method_are_problems(http: FlaskClient) -> None:
    assert slug(http.get("/nowhere")) == "not-found"
    assert slug(http.get("/things/%00")) == "not-found"
    refused = http.delete("/list")
    assert slug(refused) == "method-not-allowed"
    assert "GET" in refused.headers["Allow"]


def test_an_unexpected_error_is_logged_and_its_response_tells_nothing(
    http: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = http.get("/broken")
    assert slug(response) == "internal-error"
    assert "secret" not in response.text
    assert "a secret in a traceback" in caplog.text


def test_a_problem_says_its_facts_and_undoes_the_transaction(http: FlaskClient) -> None:
    refused = http.post("/things", json={"name": "refused"})
    assert refused.json == {
        "type": "/problems/not-today",
        "title": "Not today",
        "status": 409,
        "detail": "Come back tomorrow.",
        "weekday": "Monday",
    }
    assert http.get("/things/refused").json == {"count": None}


def test_what_was_written_is_read(http: FlaskClient) -> None:
    assert http.get("/things/a").json == {"count": None}
    assert http.post("/things", json={"name": "a", "number": 7}).status_code == 200
    assert http.get("/things/a").json == {"count": 7}


@pytest.mark.parametrize(
    ("sent", "content_type", "problem"),
    [
        (b"x" * 65_537, "text/plain", "body-too-large"),
        (b"oops", "text/plain", "unsupported-media-type"),
        (b"oops", "application/json", "malformed-json"),
        (b"", "application/json", "malformed-json"),
        (b"\xff", "application/json", "malformed-json"),
        (b"[" * 60_000, "application/json", "malformed-json"),
        (b"[]", "application/json", "invalid-request"),
        (b"null", "application/json", "invalid-request"),
        (b"{}", "application/json; charset=utf-8", "invalid-request"),
    ],
)
def test_a_body_is_refused_for_size_then_type_then_syntax_then_content(
    http: FlaskClient, sent: bytes, content_type: str, problem: str
) -> None:
    assert slug(http.post("/things", data=sent, content_type=content_type)) == problem


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 1}, "name"),
        ({"name": "a", "number": "1"}, "number"),
        ({"name": "a", "number": True}, "number"),
        ({"name": "a", "number": 1.0}, "number"),
        ({"name": "a", "price": 1}, "price"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_converted(http: FlaskClient, sent: Any, field: str) -> None:
    refused = http.post("/things", json=sent)
    assert slug(refused) == "invalid-request"
    assert [error["field"] for error in (refused.json or {})["errors"]] == [field]


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, "length-required"),
        ({"HTTP_HOST": ""}, "malformed-request"),
        ({"HTTP_HOST": "a,b"}, "malformed-request"),
        ({"HTTP_HOST": "evil.example/x"}, "malformed-request"),
        ({"HTTP_HOST": "a b", "SERVER_PROTOCOL": "HTTP/1"}, "malformed-request"),
    ],
)
@pytest.mark.parametrize("path", ["/things", "/nothing"])
def test_what_no_route_can_use_is_refused_before_the_route(
    http: FlaskClient, path: str, sent: dict[str, str], problem: str
) -> None:
    assert slug(http.post(path, json={"name": "a"}, environ_overrides=sent)) == problem


def test_the_old_http_needs_no_host(http: FlaskClient) -> None:
    old = {"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1"}
    assert http.get("/list", environ_overrides=old).status_code == 200


def test_query_parameters_are_checked(http: FlaskClient) -> None:
    assert http.get("/list?page=10&q=%20abc%20").json == {"page": 10, "q": "abc"}
    for wrong in ("page=0", "page=11", "page=x", "page=", "page=٣", "page=1.0", "q=abcdef", "q=a%00"):
        assert slug(http.get(f"/list?{wrong}")) == "invalid-request", wrong


def test_the_token_is_checked_before_the_body(http: FlaskClient) -> None:
    huge = {"data": b"x" * 70_000, "content_type": "text/plain"}
    refused = http.put("/admin", **huge)
    assert slug(refused) == "not-authenticated"
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert slug(http.put("/admin", headers=as_customer("C1"), **huge)) == "forbidden"
    assert slug(http.put("/admin", headers=as_customer("C0", "admin"), **huge)) == "body-too-large"


def test_a_signed_in_customer_is_known(http: FlaskClient) -> None:
    assert http.get("/mine", headers=as_customer("C1")).json == {"customer_id": "C1"}
    assert http.get("/who", headers=as_customer("C1")).json == {"customer_id": "C1"}
    assert http.get("/who").json == {"customer_id": None}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic eDp5", "Service x"])
def test_a_bad_token_is_refused_even_where_none_is_needed(http: FlaskClient, header: str) -> None:
    assert slug(http.get("/who", headers={"Authorization": header})) == "not-authenticated"


def test_an_internal_route_is_only_for_the_services_it_names(
    http: FlaskClient, things: ServiceUnderTest
) -> None:
    assert http.get("/internal/things", headers=things.as_service("friend")).json == {"caller": "friend"}
    assert slug(http.get("/internal/things", headers=things.as_service("stranger"))) == "forbidden"
    assert slug(http.get("/internal/things", headers=things.as_service("unknown"))) == "not-authenticated"
    assert slug(http.get("/internal/things", headers=as_customer("C0", "admin"))) == "not-authenticated"
    assert slug(http.get("/internal/things")) == "not-authenticated"


def test_a_call_passes_on_the_requests_id_and_trace(http: FlaskClient, things: ServiceUnderTest) -> None:
    headers = {"X-Request-Id": "r-1", "X-Deadline-Ms": "300"}
    assert http.get("/calls", headers=headers).json == {"got": ["hello"]}
    asked = things.stand_ins["friend"].asked[0]
    assert asked.headers["X-Request-Id"] == "r-1"
    assert asked.headers["Authorization"].startswith("Service ")
    assert 0 < asked.seconds_left < 0.3


def test_a_missing_address_is_refused_at_the_start(tmp_path: Path) -> None:
    env = {"SHOP_IDENTITY_URL": "http://127.0.0.1:1", "SHOP_DATABASE_URL": sqlite_url(tmp_path / "a")}
    with pytest.raises(ConfigError, match="SHOP_FRIEND_URL is not set"):
        create_app(env)


def test_a_locked_database_is_unavailable_and_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT_MS", 10)
    things = ServiceUnderTest(
        create_app, tmp_path, callees={"identity": publish_keys, "friend": publish_keys}
    )
    other = sqlite3.connect(tmp_path / "test.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = things.http.post("/things", json={"name": "a"})
    assert (refused.status_code, slug(refused)) == (503, "unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert things.http.get("/things/a").status_code == 200  # readers do not wait for writers
    other.execute("ROLLBACK")
    other.close()
    assert things.http.post("/things", json={"name": "a"}).status_code == 200
    things.close()


def test_an_error_of_the_database_is_not_remembered_by_the_connection(http: FlaskClient) -> None:
    assert http.get("/no-database-left").status_code == 500
    assert http.get("/things/a").status_code == 200


def test_transactions_that_read_before_they_write_wait_for_each_other(tmp_path: Path) -> None:
    shared = Database(sqlite_url(tmp_path / "shared.sqlite3"), Base)
    shared.create_tables()
    with shared.writing() as db:
        db.execute(insert(Counter), {"name": "a", "count": 0})
    failures: list[OperationalError] = []

    def count() -> None:
        try:
            for _ in range(20):
                with shared.writing() as db:
                    so_far = db.execute(select(Counter.count)).scalar_one()
                    db.execute(update(Counter).values(count=so_far + 1))
        except OperationalError as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with shared.reading() as reader:
        assert reader.execute(select(Counter.count)).scalar() == 120
    assert failures == []
    shared.dispose()


def test_replicas_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    failures: list[OperationalError] = []
    start = threading.Barrier(8)

    def begin() -> None:
        replica = Database(sqlite_url(tmp_path / "new.sqlite3"), Base)
        start.wait(5)
        try:
            replica.create_tables()
        except OperationalError as error:
            failures.append(error)
        replica.dispose()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_inserting_what_is_there_already_can_be_left_out(tmp_path: Path) -> None:
    own = Database(sqlite_url(tmp_path / "own.sqlite3"), Base)
    own.create_tables()
    unless_there = upsert(own.engine.dialect.name, Counter).on_conflict_do_nothing()
    for count in (1, 2):
        with own.writing() as db:
            db.execute(unless_there, {"name": "a", "count": count})
    with own.reading() as reader:
        assert reader.execute(select(Counter.count)).scalar() == 1
    own.dispose()


def test_a_log_line_is_json_and_says_for_which_request(http: FlaskClient) -> None:
    record = logging.LogRecord("shop", logging.WARNING, __file__, 1, "a %s", ("word",), None)
    with context.work(1) as here:
        line = json.loads(JsonLines("things").format(record))
    assert line["message"] == "a word"
    assert (line["service"], line["level"], line["request_id"]) == ("things", "warning", here.request_id)


def test_each_request_is_logged_at_level_info(http: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    http.get("/things/a")
    assert caplog.records == []
    with caplog.at_level(logging.INFO, "shop.requests"):
        http.get("/things/a")
    assert [record.getMessage() for record in caplog.records] == ["GET /things/a"]

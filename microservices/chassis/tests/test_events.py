"""Events: one service publishes them, another reads them and counts each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from microservices.chassis.app import service
from microservices.chassis.config import sqlite_url
from microservices.chassis.database import Database, upsert
from microservices.chassis.errors import UpstreamError
from microservices.chassis.events import (
    FEED_PATH,
    Event,
    FeedPositionMixin,
    FeedReader,
    OutboxMixin,
    feed,
    publish,
)
from microservices.chassis.runtime import runtime
from microservices.tests.one_service import ServiceUnderTest


class Base(DeclarativeBase):
    pass


class Outbox(OutboxMixin, Base):
    __tablename__ = "outbox"


class Bookmark(FeedPositionMixin, Base):
    __tablename__ = "bookmarks"


class Total(Base):
    __tablename__ = "totals"

    name: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int] = mapped_column(default=0)


class Crash(Exception):
    pass


def count(db: Connection, kind: str, data: dict[str, Any]) -> None:
    assert kind == "counted"
    if data["amount"] < 0:
        raise Crash
    new = upsert(db.dialect.name, Total).values(name="all", amount=data["amount"])
    add = {"amount": Total.amount + new.excluded.amount}
    db.execute(new.on_conflict_do_update(index_elements=["name"], set_=add))


def event(position: int, amount: int = 1) -> Event:
    return {"position": position, "type": "counted", "data": {"amount": amount}}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "events.sqlite3"), Base)
    database.create_tables()
    yield database
    database.dispose()


@pytest.fixture
def reader() -> FeedReader:
    return FeedReader("source", Bookmark, count, learnt=[Total], limit=3)


def deliver(database: Database, reader: FeedReader, *events: Event) -> None:
    with database.writing() as db:
        reader.apply(db, list(events))


def total(database: Database) -> tuple[int | None, int | None]:
    with database.reading() as db:
        return db.execute(select(Total.amount)).scalar(), db.execute(select(Bookmark.position)).scalar()


def test_the_feed_shows_events_in_order_after_a_position(database: Database) -> None:
    for amount in (5, 6, 7):
        with database.writing() as db:
            publish(db, Outbox, "counted", {"amount": amount})
    with database.reading() as reader:
        everything = feed(reader, Outbox, 0, 10)["events"]
        assert [one["data"]["amount"] for one in everything] == [5, 6, 7]
        assert feed(reader, Outbox, everything[0]["position"], 1)["events"] == everything[1:2]
        assert feed(reader, Outbox, everything[2]["position"], 10) == {"events": []}


def happen(database: Database) -> None:
    with database.writing() as db:
        publish(db, Outbox, "counted", {"amount": 1})
        raise Crash


def test_an_event_is_published_only_with_what_happened(database: Database) -> None:
    with pytest.raises(Crash):
        happen(database)
    with database.reading() as reader:
        assert feed(reader, Outbox, 0, 10) == {"events": []}


def test_events_that_come_three_times_and_out_of_order_count_once(
    database: Database, reader: FeedReader
) -> None:
    for _ in range(3):
        deliver(database, reader, event(2, 10), event(1, 1))
    deliver(database, reader, event(3, 100), event(2, 10), event(1, 1))
    assert total(database) == (111, 3)


def test_an_event_that_cannot_be_applied_leaves_the_position_unchanged(
    database: Database, reader: FeedReader
) -> None:
    deliver(database, reader, event(1))
    with pytest.raises(Crash):
        deliver(database, reader, event(2), event(3, -1))
    assert total(database) == (1, 1)
    deliver(database, reader, event(2), event(3))
    assert total(database) == (3, 3)


def reading_service(tmp_path: Path, answers: Mapping[int, list[Event]]) -> ServiceUnderTest:
    """A service whose source answers by the position that it is asked for."""

    def respond(_method: str, path: str, _body: Any) -> tuple[int, Any]:
        after = int(path.split("after=")[1].split("&", maxsplit=1)[0])
        return (200, {"events": answers[after]}) if after in answers else (503, None)

    def create_app(env: Mapping[str, str]) -> Flask:
        return service("reader", env, Blueprint("none", __name__), base=Base, calls=["source"])

    return ServiceUnderTest(create_app, tmp_path, callees={"source": respond})


def test_a_reader_continues_where_it_stopped(tmp_path: Path, reader: FeedReader) -> None:
    under_test = reading_service(
        tmp_path, {0: [event(1), event(2), event(3)], 2: [event(3), event(4)], 3: [event(4)]}
    )
    with under_test.app.app_context():
        assert reader.step() is True  # a full page: there may be more
        assert reader.step() is False
        assert reader.step() is False
    assert total(runtime(under_test.app).database) == (4, 4)
    asked = under_test.stand_ins["source"].asked
    assert [call.path for call in asked] == [f"{FEED_PATH}?after={after}&limit=3" for after in (0, 2, 3)]
    assert asked[0].headers["Authorization"].startswith("Service ")
    under_test.close()


def test_a_reader_that_is_ahead_of_a_restored_source_starts_over_and_says_so(
    tmp_path: Path, reader: FeedReader, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {0: [event(1, 10), event(2, 20)], 4: []}
    under_test = reading_service(tmp_path, answers)
    database = runtime(under_test.app).database
    deliver(database, reader, *(event(position) for position in range(1, 6)))
    with under_test.app.app_context():
        assert reader.step() is True  # the events that are there have yet to be read
        assert total(database) == (None, 0)
        reader.step()
        assert total(database) == (30, 2)
    assert "the feed of source ends before position 5" in caplog.text
    assert len(caplog.records) == 1
    under_test.close()


def test_of_two_replicas_only_one_starts_over(tmp_path: Path, reader: FeedReader) -> None:
    database: Database

    def respond(_method: str, _path: str, _body: Any) -> tuple[int, Any]:
        deliver_anew()  # the other replica is faster: it has started over, and learnt
        return 200, {"events": []}

    def deliver_anew() -> None:
        with database.writing() as db:
            db.execute(update(Bookmark).values(position=0))
            db.execute(delete(Total))
            reader.apply(db, [event(1, 10)])

    def create_app(env: Mapping[str, str]) -> Flask:
        return service("reader", env, Blueprint("none", __name__), base=Base, calls=["source"])

    under_test = ServiceUnderTest(create_app, tmp_path, callees={"source": respond})
    database = runtime(under_test.app).database
    deliver(database, reader, event(5))
    with under_test.app.app_context():
        reader.step()
    assert total(database) == (10, 1)
    under_test.close()


def test_a_source_that_is_away_changes_nothing(tmp_path: Path, reader: FeedReader) -> None:
    under_test = reading_service(tmp_path, {})
    with under_test.app.app_context(), pytest.raises(UpstreamError):
        reader.step()
    assert total(runtime(under_test.app).database) == (None, None)
    under_test.close()

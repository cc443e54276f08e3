"""Events between services: an outbox read as an ordered feed, and a reader that counts each event once.

The writer stores an event in the transaction of what happened, the reader stores its position in the transaction
of the effect. So an event is neither lost nor counted twice, whichever side crashes and however many replicas read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from sqlalchemy import JSON, Connection, String, insert, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from .client import require_keys, upstream
from .database import reading, upsert, writing

FEED_PATH = "/internal/events"
MAX_EVENTS = 500
OUTBOX_LOCK = 7_301_002


class Event(TypedDict):
    position: int
    type: str
    data: dict[str, Any]


class Feed(TypedDict):
    events: list[Event]


FEED = require_keys(Feed)


class OutboxMixin:
    """The columns of a service's outbox; positions grow in the order of the commits."""

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it; never reuse a position

    position: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class FeedPositionMixin:
    """The columns of a reader's bookmark, one row for each feed."""

    feed: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)


def publish(db: Connection, outbox: type[Any], kind: str, data: dict[str, Any]) -> None:
    """Store an event in the transaction `db`.

    PostgreSQL hands out positions before the commit, so that a reader could see 8 before 7 is there and never
    come back for it: writers of one outbox take turns. On SQLite they do anyway.
    """
    if db.dialect.name == "postgresql":
        db.execute(text(f"SELECT pg_advisory_xact_lock({OUTBOX_LOCK})"))
    db.execute(insert(outbox), {"type": kind, "data": data})


def feed(db: Connection, outbox: type[Any], after: int, limit: int) -> Feed:
    """The events that follow the position `after`, in order, at most `limit` of them."""
    columns = select(outbox.position, outbox.type, outbox.data)
    rows = db.execute(columns.where(outbox.position > after).order_by(outbox.position).limit(limit))
    return {"events": [{"position": position, "type": kind, "data": data} for position, kind, data in rows]}


class FeedReader:
    """Reads another service's feed and applies each event once."""

    def __init__(
        self,
        source: str,
        bookmark: type[Any],
        apply: Callable[[Connection, str, dict[str, Any]], None],
        limit: int = MAX_EVENTS,
    ) -> None:
        self.source, self._bookmark, self._apply, self._limit = source, bookmark, apply, limit

    def step(self) -> bool:
        """Fetch what is new and apply it; returns whether there may be more."""
        with reading() as db:
            found = select(self._bookmark.position).where(self._bookmark.feed == self.source)
            after = db.execute(found).scalar() or 0
        wanted = {"after": after, "limit": self._limit}
        events = upstream(self.source).get(FEED_PATH, wanted, read=FEED)["events"]
        if events:
            with writing() as db:
                self.apply(db, events)
        return len(events) >= self._limit

    def apply(self, db: Connection, events: list[Event]) -> None:
        """Apply the events beyond the bookmark and move it; another replica may have been here meanwhile."""
        mine = self._bookmark.feed == self.source
        found = select(self._bookmark.position).where(mine).with_for_update()
        position = db.execute(found).scalar()
        if position is None:
            # There has to be a row to lock, and another replica may begin at the same moment.
            begin = upsert(db.dialect.name, self._bookmark).on_conflict_do_nothing()
            db.execute(begin, {"feed": self.source, "position": 0})
            position = db.execute(found).scalar() or 0
        for event in sorted(events, key=lambda event: int(event["position"])):
            if event["position"] > position:
                self._apply(db, event["type"], event["data"])
                position = event["position"]
        db.execute(update(self._bookmark).where(mine).values(position=position))

"""Events between services: an outbox read as an ordered feed, and a reader that counts each event once.

The writer stores an event in the transaction of the change. The reader stores its position in the transaction of the
effect. So an event is neither lost nor counted twice, after any crash and with any number of replicas.

A reader asks for the last event that it has read once more, before the new ones. If that event is gone, the writer's
database was restored from an older copy or made anew; the reader then starts over from the beginning of the feed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from sqlalchemy import JSON, Connection, String, delete, insert, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from . import spans
from .client import require_keys, upstream
from .database import reading, upsert, writing

log = logging.getLogger(__name__)

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
    """The columns of a reader's position, one row for each feed."""

    feed: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)


def publish(db: Connection, outbox: type[Any], kind: str, data: dict[str, Any]) -> None:
    """Store an event in the transaction `db`; in a traced request with the member `traceparent` in its data.

    PostgreSQL assigns positions before the commit: a reader could see 8 before 7 is committed, and never read 7. So the
    writers of one outbox take turns. On SQLite they do anyway.
    """
    if db.dialect.name == "postgresql":
        db.execute(text(f"SELECT pg_advisory_xact_lock({OUTBOX_LOCK})"))
    traceparent = spans.traceparent()
    if traceparent is not None:
        data = {**data, spans.TRACEPARENT: traceparent}
    db.execute(insert(outbox), {"type": kind, "data": data})


def feed(db: Connection, outbox: type[Any], after: int, limit: int) -> Feed:
    """The events that follow the position `after`, in order, at most `limit` of them."""
    columns = select(outbox.position, outbox.type, outbox.data)
    rows = db.execute(columns.where(outbox.position > after).order_by(outbox.position).limit(limit))
    return {"events": [{"position": position, "type": kind, "data": data} for position, kind, data in rows]}


class FeedReader:
    """Reads another service's feed and applies each event once.

    `learnt` are the tables that hold nothing but what `apply` writes. They are emptied when the reader starts over.
    """

    def __init__(
        self,
        source: str,
        positions: type[Any],
        apply: Callable[[Connection, str, dict[str, Any]], None],
        learnt: Sequence[type[Any]] = (),
        limit: int = MAX_EVENTS,
    ) -> None:
        self.source, self._positions, self._apply, self._learnt = source, positions, apply, learnt
        self._limit = limit

    def step(self) -> bool:
        """Fetch what is new and apply it; returns whether there may be more."""
        with reading() as db:
            found = select(self._positions.position).where(self._positions.feed == self.source)
            position = db.execute(found).scalar() or 0
        wanted = {"after": max(position - 1, 0), "limit": self._limit}
        events = upstream(self.source).get(FEED_PATH, wanted, read=FEED)["events"]
        newest = max((event["position"] for event in events), default=0)
        if newest < position:
            self._start_over(position)
            return True
        if newest > position:
            new = [event["data"] for event in events if event["position"] > position]
            traceparents = [data.get(spans.TRACEPARENT) for data in new]
            with spans.linked(f"apply events of {self.source}", traceparents), writing() as db:
                self.apply(db, events)
        return len(events) >= self._limit

    def apply(self, db: Connection, events: list[Event]) -> None:
        """Apply the events after the stored position and update it; another replica may have applied some meanwhile."""
        mine = self._positions.feed == self.source
        found = select(self._positions.position).where(mine).with_for_update()
        position = db.execute(found).scalar()
        if position is None:
            # There has to be a row to lock, and another replica may begin at the same moment.
            begin = upsert(db.dialect.name, self._positions).on_conflict_do_nothing()
            db.execute(begin, {"feed": self.source, "position": 0})
            position = db.execute(found).scalar() or 0
        for event in sorted(events, key=lambda event: int(event["position"])):
            if event["position"] > position:
                self._apply(db, event["type"], event["data"])
                position = event["position"]
        db.execute(update(self._positions).where(mine).values(position=position))

    def _start_over(self, position: int) -> None:
        """Forget what was learnt and go back to the start, unless another replica did so since `position` was read."""
        mine = (self._positions.feed == self.source, self._positions.position == position)
        with writing() as db:
            if db.execute(update(self._positions).where(*mine).values(position=0)).rowcount == 0:
                return
            for table in self._learnt:
                db.execute(delete(table))
        log.warning(
            "the feed of %s ends before position %d, which was already read: its database was restored or made anew; "
            "everything is learnt again from the start of the feed",
            self.source,
            position,
        )

"""Spans in one SQLite file; the oldest are dropped when there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, URL, Engine, create_engine, delete, func, insert, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from microservices.tracing.span import Span, title

MAX_SPANS = 200_000
"""Some 10,000 checkouts, 150 MB."""
FILE_NAME = "traces.sqlite3"


class Base(DeclarativeBase):
    """The tables of the store."""


class StoredSpan(Base):
    """A span as it arrived; `number` grows in the order of arrival."""

    __tablename__ = "spans"

    number: Mapped[int] = mapped_column(primary_key=True)
    trace_id: Mapped[str] = mapped_column(index=True)
    span_id: Mapped[str]
    parent_id: Mapped[str | None]
    service: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    start: Mapped[int]
    end: Mapped[int]
    failed: Mapped[bool]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    links: Mapped[list[str]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(index=True)


class StoredLink(Base):
    """A trace that goes on from another one."""

    __tablename__ = "links"

    number: Mapped[int] = mapped_column(primary_key=True)
    trace_id: Mapped[str] = mapped_column(index=True)
    linked: Mapped[str] = mapped_column(index=True)


class TraceStore:
    """Spans in `file`, which is made when it is missing; at most about `most` of them are kept."""

    def __init__(self, file: Path, most: int = MAX_SPANS) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._engine: Engine = create_engine(URL.create("sqlite", database=str(file)))
        self._most = most
        Base.metadata.create_all(self._engine)

    def add(self, spans: Sequence[Span]) -> None:
        """Store spans."""
        rows = [
            {
                "trace_id": span.trace_id,
                "span_id": span.span_id,
                "parent_id": span.parent_id,
                "service": span.service,
                "name": span.name,
                "kind": span.kind,
                "start": span.start,
                "end": span.end,
                "failed": span.failed,
                "attributes": dict(span.attributes),
                "links": list(span.links),
                "request_id": span.request_id,
            }
            for span in spans
        ]
        links = [{"trace_id": span.trace_id, "linked": linked} for span in spans for linked in span.links]
        with self._engine.begin() as db:
            if rows:
                db.execute(insert(StoredSpan), rows)
            if links:
                db.execute(insert(StoredLink), links)
            for table in (StoredSpan, StoredLink):
                newest = db.execute(select(func.max(table.number))).scalar() or 0
                db.execute(delete(table).where(table.number <= newest - self._most))

    def traces_of(self, request_id: str) -> list[str]:
        """Ids of the traces with a span of this request, the oldest first, and of those linked with them."""
        own = (
            select(StoredSpan.trace_id)
            .where(StoredSpan.request_id == request_id)
            .group_by(StoredSpan.trace_id)
            .order_by(func.min(StoredSpan.start))
        )
        with self._engine.connect() as db:
            found = list(db.execute(own).scalars())
            linked = select(StoredLink.trace_id, StoredLink.linked).where(
                or_(StoredLink.linked.in_(found), StoredLink.trace_id.in_(found))
            )
            pairs = db.execute(linked).all()
        return list(dict.fromkeys([*found, *(trace for pair in pairs for trace in pair)]))

    def spans(self, trace_ids: Iterable[str]) -> list[Span]:
        """All spans of these traces, by their start."""
        wanted = select(StoredSpan).where(StoredSpan.trace_id.in_(list(trace_ids))).order_by(StoredSpan.start)
        with self._engine.connect() as db:
            return [
                Span(
                    row.trace_id,
                    row.span_id,
                    row.parent_id,
                    row.service,
                    row.name,
                    row.kind,
                    row.start,
                    row.end,
                    row.failed,
                    row.attributes,
                    tuple(row.links),
                )
                for row in db.execute(wanted)
            ]

    def newest_requests(self, number: int) -> list[tuple[str, str, int, int]]:
        """Request id, name, nanoseconds taken and spans of the newest traces, the newest first."""
        first = (
            select(
                StoredSpan.trace_id, func.max(StoredSpan.number).label("newest"), func.count().label("spans")
            )
            .group_by(StoredSpan.trace_id)
            .order_by(func.max(StoredSpan.number).desc())
            .limit(number * 4)  # background work has no request id
            .subquery()
        )
        roots = (
            select(
                StoredSpan.request_id,
                StoredSpan.name,
                StoredSpan.attributes,
                StoredSpan.end - StoredSpan.start,
                first.c.spans,
            )
            .join(first, first.c.trace_id == StoredSpan.trace_id)
            .where(StoredSpan.parent_id.is_(None), StoredSpan.request_id.is_not(None))
            .order_by(first.c.newest.desc())
            .limit(number)
        )
        with self._engine.connect() as db:
            return [
                (request_id, title(name, attributes), taken, spans)
                for request_id, name, attributes, taken, spans in db.execute(roots)
            ]

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

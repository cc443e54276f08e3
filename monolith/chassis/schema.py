"""Whether the tables of a database fit the code.

It compares tables, columns and the kinds of their types, because statements depend on these. It does not compare
lengths, indexes and constraints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import JSON, Connection, Float, Integer, MetaData, String, inspect

KINDS = (JSON, String, Integer, Float)
SAID = 3
"""At most this many differences are named: those to the database of another shop would fill the screen."""
UNDEFINED = frozenset({"42P01", "42703"})
"""PostgreSQL's codes for a missing table and a missing column. SQLite has only the texts below."""
NO_SUCH = re.compile(r"no such (table|column)|has no column named")


def misfit(db: Connection, metadata: MetaData) -> str:
    """How the database differs from the code, such as `lacks the column orders.step`; empty when they fit."""
    found = list(_differences(db, metadata))
    return ", ".join(found[:SAID]) + (" and more" if len(found) > SAID else "")


def is_undefined(error: Exception) -> bool:
    """Whether the error is about a missing table or column."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlstate", None) in UNDEFINED or NO_SUCH.search(str(cause)) is not None


def _differences(db: Connection, metadata: MetaData) -> Iterator[str]:
    reflected = inspect(db).get_multi_columns(filter_names=list(metadata.tables))
    found = {
        table: {column["name"]: column for column in columns} for (_, table), columns in reflected.items()
    }
    for table in metadata.sorted_tables:
        if table.name not in found:
            yield f"lacks the table {table.name}"
            continue
        columns = found[table.name]
        for column in table.columns:
            if column.name not in columns:
                yield f"lacks the column {column}"
            elif _kind(columns[column.name]["type"]) is not _kind(column.type):
                yield f"has another type in the column {column}"
        for name in columns.keys() - table.columns.keys():
            if _needs_value(columns[name]):
                yield f"wants a value for the column {table.name}.{name}, which the code does not have"


def _kind(of: Any) -> type[Any]:
    return next((kind for kind in KINDS if isinstance(of, kind)), type(of))


def _needs_value(column: Any) -> bool:
    given = column["default"] is not None or column.get("identity") or column.get("computed")
    return not column["nullable"] and not given

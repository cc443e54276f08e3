"""Fills a service's own database from its part of a data set: JSON lines, one file for each table.

`python -m microservices.<name>.seed FOLDER` replaces whatever the service had; no replica may run meanwhile. With
`--if-empty` it leaves a database that has rows as it is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, inspect, select
from sqlalchemy.orm import DeclarativeBase

from .chassis.config import Config, ConfigError
from .chassis.database import Database

ROWS_AT_A_TIME = 5_000
IF_EMPTY = "--if-empty"

Tables = Iterable[tuple[type[DeclarativeBase], Iterable[dict[str, Any]]]]
"""What to fill, parents first: a model and its rows."""


def rows(folder: Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of one table of the data set."""
    with (folder / f"{table}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def seed(
    name: str, base: type[DeclarativeBase], tables: Callable[[Path], Tables], arguments: list[str]
) -> int:
    """Replace the data of the service `name` as the command line says; returns the exit status."""
    folders = [argument for argument in arguments if argument != IF_EMPTY]
    if len(folders) != 1:
        print(f"Say where the data set is: python -m microservices.{name}.seed FOLDER", file=sys.stderr)  # noqa: T201
        return 2
    try:
        url, content = Config.from_env(name, os.environ).database_url, list(tables(Path(folders[0])))
        if IF_EMPTY in arguments and has_rows(url, base, [model for model, _ in content]):
            print(f"{name} has data; it stays as it is.")  # noqa: T201
            return 0
        fill(url, base, content)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        return 2
    except FileNotFoundError as error:
        print(f"There is no {error.filename}; make a data set with: monolith dataset FOLDER", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def has_rows(url: str, base: type[DeclarativeBase], models: Iterable[type[DeclarativeBase]]) -> bool:
    """Whether there are rows of one of the models; of any table where the data set has nothing for the service."""
    names = [model.__tablename__ for model in models] or list(base.metadata.tables)
    database = Database(url, base)
    try:
        with database.reading() as db:
            there = [base.metadata.tables[name] for name in inspect(db).get_table_names() if name in names]
            return any(
                db.execute(select(1).select_from(table).limit(1)).first() is not None for table in there
            )
    finally:
        database.dispose()


def fill(url: str, base: type[DeclarativeBase], tables: Tables) -> None:
    """Replace what the database at `url` holds, all or nothing."""
    database = Database(url, base)
    try:
        with database.writing() as db:
            base.metadata.drop_all(db)
            base.metadata.create_all(db)
            for model, model_rows in tables:
                remaining = iter(model_rows)
                while chunk := list(islice(remaining, ROWS_AT_A_TIME)):
                    db.execute(insert(model.__table__), chunk)  # type: ignore[arg-type]
        database.checkpoint()
    finally:
        database.dispose()

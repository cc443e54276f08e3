"""Filling a service's database from a data set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from microservices.chassis.config import sqlite_url
from microservices.chassis.database import Database
from microservices.seeding import Tables, rows, seed


class Base(DeclarativeBase):
    pass


class Word(Base):
    __tablename__ = "words"

    word: Mapped[str] = mapped_column(primary_key=True)


def tables(folder: Path) -> Tables:
    return [(Word, rows(folder, "words"))]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = sqlite_url(tmp_path / "words.sqlite3")
    monkeypatch.setenv("SHOP_DATABASE_URL", url)
    return url


def write(folder: Path, *words: str) -> None:
    (folder / "words.jsonl").write_text(
        "".join(json.dumps({"word": word}) + "\n" for word in words), encoding="utf-8"
    )


@pytest.fixture
def words(url: str) -> Iterator[Database]:
    database = Database(url, Base)
    yield database
    database.dispose()


def all_of(words: Database) -> set[str]:
    with words.reading() as db:
        return set(db.execute(select(Word.word)).scalars())


def test_a_seed_replaces_what_was_there(tmp_path: Path, words: Database) -> None:
    write(tmp_path, "old", "both")
    assert seed("words", Base, tables, [str(tmp_path)]) == 0
    write(tmp_path, "new", "both", "ünï")
    assert seed("words", Base, tables, [str(tmp_path)]) == 0
    assert all_of(words) == {"new", "both", "ünï"}


def test_with_if_empty_a_seed_fills_an_empty_database_and_leaves_data_alone(
    tmp_path: Path, words: Database
) -> None:
    write(tmp_path, "old")
    assert seed("words", Base, tables, ["--if-empty", str(tmp_path)]) == 0
    assert all_of(words) == {"old"}
    write(tmp_path, "new")
    assert seed("words", Base, tables, ["--if-empty", str(tmp_path)]) == 0
    assert all_of(words) == {"old"}


def test_with_if_empty_tables_without_rows_are_filled(tmp_path: Path, words: Database) -> None:
    words.create_tables()
    write(tmp_path, "new")
    assert seed("words", Base, tables, ["--if-empty", str(tmp_path)]) == 0
    assert all_of(words) == {"new"}


def test_with_if_empty_a_service_whose_data_set_is_empty_keeps_its_rows(
    tmp_path: Path, words: Database
) -> None:
    write(tmp_path, "old")
    seed("words", Base, tables, [str(tmp_path)])
    assert seed("words", Base, lambda _folder: [], ["--if-empty", str(tmp_path)]) == 0
    assert all_of(words) == {"old"}


def test_a_seed_that_fails_halfway_changes_nothing(tmp_path: Path, words: Database) -> None:
    write(tmp_path, "old")
    seed("words", Base, tables, [str(tmp_path)])
    write(tmp_path, "new", "new")
    with pytest.raises(Exception, match="UNIQUE"):
        seed("words", Base, tables, [str(tmp_path)])
    assert all_of(words) == {"old"}


def test_a_missing_data_set_is_one_sentence(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seed("words", Base, tables, [str(tmp_path / "nowhere")]) == 1
    assert "monolith dataset FOLDER" in capsys.readouterr().err
    assert seed("words", Base, tables, []) == 2
    assert "python -m microservices.words.seed FOLDER" in capsys.readouterr().err

"""The room's memory: one SQLite file with the people who joined, where they are, and which checks stopped them.

A person is a nickname and the hash of a key. Whoever leaves is forgotten with everything that was told.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exercises.errors import ExerciseError
from exercises.page.room.news import MAX_NICK, News

MAX_PEOPLE = 200
AWAY_SECONDS = 60.0
"""Who said nothing for so long is shown as away. An open page tells the room something every fifteen seconds."""
TABLES = """
CREATE TABLE IF NOT EXISTS people (
    key TEXT PRIMARY KEY,
    nick TEXT NOT NULL UNIQUE,
    joined REAL NOT NULL,
    heard REAL NOT NULL,
    step TEXT NOT NULL DEFAULT '',
    task TEXT NOT NULL DEFAULT '',
    tasks INTEGER NOT NULL DEFAULT 0,
    passed INTEGER NOT NULL DEFAULT 0,
    result TEXT NOT NULL DEFAULT 'not checked',
    feeling TEXT NOT NULL DEFAULT '',
    since REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS failing (
    key TEXT NOT NULL REFERENCES people (key) ON DELETE CASCADE,
    step TEXT NOT NULL,
    check_name TEXT NOT NULL,
    now INTEGER NOT NULL,
    PRIMARY KEY (key, step, check_name)
);
"""


class RoomFull(ExerciseError):
    """Nobody else can come in."""


@dataclass(frozen=True, slots=True)
class Person:
    """One learner as the room shows them. Times are seconds."""

    nick: str
    step: str
    task: str
    tasks: int
    passed: int
    result: str
    feeling: str
    at_task: float = field(kw_only=True)
    """For how long they have been at this task."""
    away: bool = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A check that stopped people."""

    step: str
    check: str
    now: int
    """How many it stops now."""
    ever: int


class Register:
    """One room. Safe to call from several threads. `clock` gives seconds since the epoch."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; {TABLES}")
        except sqlite3.Error as error:
            raise ExerciseError(
                f"{file} cannot hold the room ({error}). Name another file with --file."
            ) from None
        self.version = 0
        """Grows with everything that is new."""
        self.trouble = ""
        """A sentence when the last thing that was told could not be written, as on a full disk."""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def join(self, nick: str) -> tuple[str, str]:
        """A new person: their key and the name that the room gives them, which is theirs alone. Raises RoomFull."""
        key, now = secrets.token_urlsafe(24), self._clock()
        with self._writing():
            taken = {name for (name,) in self._db.execute("SELECT nick FROM people")}
            if len(taken) >= MAX_PEOPLE:
                raise RoomFull(f"The room has {MAX_PEOPLE} people. Somebody has to leave first.")
            free = next(name for name in _variants(nick) if name not in taken)
            self._db.execute(
                "INSERT INTO people (key, nick, joined, heard, since) VALUES (?, ?, ?, ?, ?)",
                (_hashed(key), free, now, now, now),
            )
        return key, free

    def hear(self, key: str, news: News) -> bool:
        """Take what somebody tells; False for a key that nobody has."""
        now, hashed = self._clock(), _hashed(key)
        with self._writing():
            before = self._db.execute(
                "SELECT step, task, since, feeling FROM people WHERE key = ?", (hashed,)
            ).fetchone()
            if before is None:
                return False
            step, task, since, _ = before
            moved = (step, task) != (news.step, news.task)
            self._db.execute(
                "UPDATE people SET heard = ?, step = ?, task = ?, tasks = ?, passed = ?, result = ?, feeling = ?,"
                " since = ? WHERE key = ?",
                (
                    now,
                    news.step,
                    news.task,
                    news.tasks,
                    news.passed,
                    news.result,
                    news.feeling,
                    now if moved else since,
                    hashed,
                ),
            )
            self._db.execute("UPDATE failing SET now = 0 WHERE key = ?", (hashed,))
            self._db.executemany(
                "INSERT INTO failing (key, step, check_name, now) VALUES (?, ?, ?, 1)"
                " ON CONFLICT (key, step, check_name) DO UPDATE SET now = 1",
                [(hashed, news.step, check) for check in news.failing],
            )
        return True

    def leave(self, key: str) -> bool:
        """Forget the person with this key; False when there is none."""
        with self._writing():
            return self._db.execute("DELETE FROM people WHERE key = ?", (_hashed(key),)).rowcount > 0

    def forget(self, nick: str) -> None:
        """Forget the person of that name, as a teacher does."""
        with self._writing():
            self._db.execute("DELETE FROM people WHERE nick = ?", (nick,))

    def empty(self) -> None:
        """Forget everybody."""
        with self._writing():
            self._db.execute("DELETE FROM people")

    def people(self) -> list[Person]:
        """Everybody; first those who are stuck, then by the time at their task, those who are away last."""
        now = self._clock()
        with self._lock:
            rows = self._db.execute(
                "SELECT nick, step, task, tasks, passed, result, feeling, since, heard FROM people"
            ).fetchall()
        found = [
            Person(*row, at_task=max(0.0, now - since), away=now - heard > AWAY_SECONDS)
            for *row, since, heard in rows
        ]
        return sorted(found, key=lambda each: (each.away, each.feeling != "stuck", -each.at_task, each.nick))

    def obstacles(self, number: int) -> list[Obstacle]:
        """The checks that stop the most people now, then those that stopped the most before."""
        with self._lock:
            rows = self._db.execute(
                "SELECT step, check_name, SUM(now), COUNT(*) FROM failing GROUP BY step, check_name"
                " ORDER BY SUM(now) DESC, COUNT(*) DESC, step, check_name LIMIT ?",
                (number,),
            ).fetchall()
        return [Obstacle(*row) for row in rows]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
                self.trouble = ""
            except sqlite3.Error as error:
                self.trouble = f"The room cannot write its file ({error}). It shows what it knew before."
                raise ExerciseError(f"The room cannot write its file ({error}); it is asked again.") from None
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self.version += 1


def _variants(nick: str) -> Iterator[str]:
    """The name as it is readable, then the same with a number."""
    plain = " ".join("".join(each for each in nick if each.isprintable()).split()) or "somebody"
    yield plain[:MAX_NICK]
    number = 2
    while True:
        end = f" {number}"
        yield plain[: MAX_NICK - len(end)] + end
        number += 1


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

"""The connections that threads keep for reading."""

from __future__ import annotations

import threading

from sqlalchemy import text

from monolith.chassis.database import Database


def test_threads_that_ended_give_back_the_connections_that_they_kept(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/shop.sqlite3", threads=1)
    still_referred_to = []

    def read() -> None:
        with database.reading() as db:
            still_referred_to.append(db)
            db.execute(text("SELECT 1"))

    for _ in range(10):  # more than the pool has
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert database.engine.pool.checkedout() == 1
    database.dispose()

"""A product by an ORM session: bare Flask on the monolith's database, `python -m loadtests.bench.orm HOST PORT`.

It answers `GET /api/products/<sku>` from ORM objects. The shops run a statement that is built once instead; the bench
shows the difference. SHOP_DATABASE_URL names the database.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from loadtests.bench.floor import serve


def load(_target: str) -> Callable[..., Any]:
    """The WSGI application, made in the worker process, as in both shops."""
    from flask import Flask, abort
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    class Base(DeclarativeBase):
        """The base of the only table."""

    class Product(Base):
        """A product, with the columns of the answer."""

        __tablename__ = "products"

        sku: Mapped[str] = mapped_column(primary_key=True)
        name: Mapped[str]
        description: Mapped[str]
        category: Mapped[str]
        price_cents: Mapped[int]

    app = Flask(__name__)
    app.add_url_rule("/readyz", "ready", lambda: {"status": "ready"})
    app.extensions["engine"] = engine = create_engine(os.environ["SHOP_DATABASE_URL"])

    @app.get("/api/products/<sku>")
    def product(sku: str) -> dict[str, Any]:
        with Session(engine) as session:
            found = session.get(Product, sku)
            if found is None:
                abort(404)
            return {
                "sku": found.sku,
                "name": found.name,
                "description": found.description,
                "category": found.category,
                "price_cents": found.price_cents,
            }

    return app.wsgi_app


if __name__ == "__main__":
    serve("loadtests.bench.orm", load, sys.argv[1], int(sys.argv[2]))

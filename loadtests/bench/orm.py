"""A product by an ORM session: bare Flask on the monolith's database, `python -m loadtests.bench.orm HOST PORT`.

`GET /api/products/<sku>` with objects, for comparison with the same endpoint of the shops, which run a statement that
is built once. SHOP_DATABASE_URL names the database.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from loadtests.bench.floor import serve


def load(_target: str) -> Callable[..., Any]:
    """The application, made in the worker as both shops do."""
    from flask import Flask, abort
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    class Base(DeclarativeBase):
        """The one table that is asked."""

    class Product(Base):
        """A product, with the columns that are shown."""

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

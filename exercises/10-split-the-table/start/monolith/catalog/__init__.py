"""Catalog: products, categories and prices. These functions open the database themselves; nobody hands it to them."""

from .local import batch, categories, products
from .routes import api
from .search import search
from .service import UnknownProduct

__all__ = ["UnknownProduct", "api", "batch", "categories", "products", "search"]

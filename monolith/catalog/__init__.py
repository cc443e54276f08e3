"""Catalog: products, categories and prices."""

from .routes import api
from .search import search
from .service import UnknownProduct, batch, categories, product, products, set_price

__all__ = ["UnknownProduct", "api", "batch", "categories", "product", "products", "search", "set_price"]

"""Catalog: products, categories and prices."""

from monolith.catalog.routes import api
from monolith.catalog.search import search
from monolith.catalog.service import UnknownProduct, batch, categories, product, products, set_price

__all__ = [
    "UnknownProduct",
    "api",
    "batch",
    "categories",
    "product",
    "products",
    "search",
    "set_price",
]

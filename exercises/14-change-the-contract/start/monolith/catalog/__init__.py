"""Catalog: a client of the service that has the products, categories and prices."""

from .client import CatalogUnavailable, UnknownProduct, categories, products
from .internal import batch

__all__ = ["CatalogUnavailable", "UnknownProduct", "batch", "categories", "products"]

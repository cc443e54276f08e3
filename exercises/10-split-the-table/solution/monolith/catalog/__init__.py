"""Catalog: a client of the service that has the products, categories and prices."""

from .client import CatalogUnavailable, UnknownProduct, batch, categories, products

__all__ = ["CatalogUnavailable", "UnknownProduct", "batch", "categories", "products"]

"""Catalog: products, categories and prices."""

"""Storefront: the HTML pages that a shopper sees; it owns no data and asks the others for theirs."""

from .routes import pages

__all__ = ["pages"]

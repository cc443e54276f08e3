"""Storefront: the HTML pages that a shopper sees; it owns no data and asks every other module for its own."""

from monolith.storefront import buying, entrance
from monolith.storefront.routes import pages

__all__ = ["buying", "entrance", "pages"]

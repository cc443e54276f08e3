"""Storefront: the HTML pages that a shopper sees; it owns no data and asks every other service for its own."""

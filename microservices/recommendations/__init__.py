"""Recommendations: what goes well with a product."""

"""Payments: money captured for orders and given back, through a stand-in provider."""

"""Payments: money captured for orders, through a stand-in provider."""

from .service import PaymentDeclined, PaymentTimedOut

__all__ = ["PaymentDeclined", "PaymentTimedOut"]

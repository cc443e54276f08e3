"""Payments: money captured for orders, through a stand-in provider."""

from monolith.payments.service import PaymentDeclined, PaymentTimedOut

__all__ = ["PaymentDeclined", "PaymentTimedOut"]

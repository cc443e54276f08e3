"""Only the test with the mistake."""

from __future__ import annotations

from importlib import import_module


def test_a_declined_card_is_known():
    assert hasattr(import_module("monolith.payments.service"), "capture")

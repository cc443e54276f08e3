"""Only the test with the mistake."""

from __future__ import annotations

from pathlib import Path


def test_totals_are_sums_of_lines():
    checkout = Path(__file__).parents[1] / "monolith/orders/checkout.py"
    assert "sum(" in checkout.read_text(encoding="utf-8")

"""Orders: checkout, the customer's history, and the feed of what was ordered."""

from monolith.orders import events  # noqa: F401 - it adds its route to `api`
from monolith.orders.cards import ensure_key
from monolith.orders.checkout import Answer, checkout
from monolith.orders.feed import feed
from monolith.orders.routes import api
from monolith.orders.service import UnknownOrder, history, show

__all__ = ["Answer", "UnknownOrder", "api", "checkout", "ensure_key", "feed", "history", "show"]

"""Orders: checkout, the customer's history, and the feed of what was ordered."""

from .cards import ensure_key
from .checkout import Placed, checkout
from .feed import feed
from .routes import api
from .service import UnknownOrder, history, show

__all__ = ["Placed", "UnknownOrder", "api", "checkout", "ensure_key", "feed", "history", "show"]

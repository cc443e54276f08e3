"""Orders: checkout, the customer's history, and the feed of what was ordered."""

from .cards import ensure_key
from .checkout import Placed, checkout
from .events import events
from .feed import feed
from .routes import api
from .sender import start_sending
from .service import UnknownOrder, history, show

api.register_blueprint(events)

__all__ = [
    "Placed",
    "UnknownOrder",
    "api",
    "checkout",
    "ensure_key",
    "feed",
    "history",
    "show",
    "start_sending",
]

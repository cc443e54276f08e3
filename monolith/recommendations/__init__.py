"""Recommendations: what goes well with a product."""

from .learning import Bought, catch_up, learn, start_learning
from .routes import api
from .service import suggest

__all__ = ["Bought", "api", "catch_up", "learn", "start_learning", "suggest"]

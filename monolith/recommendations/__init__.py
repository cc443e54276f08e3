"""Recommendations: what goes well with a product."""

from monolith.recommendations.learning import Bought, catch_up, learn, start_learning
from monolith.recommendations.routes import api
from monolith.recommendations.service import suggest

__all__ = ["Bought", "api", "catch_up", "learn", "start_learning", "suggest"]

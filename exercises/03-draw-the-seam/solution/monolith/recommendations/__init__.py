"""Recommendations: what goes well with a product."""

from .interface import RecommendationsUnavailable, Recommender, recommender
from .learning import Bought, catch_up, learn, start_learning
from .local import LocalRecommender
from .routes import api

__all__ = [
    "Bought",
    "LocalRecommender",
    "RecommendationsUnavailable",
    "Recommender",
    "api",
    "catch_up",
    "learn",
    "recommender",
    "start_learning",
]

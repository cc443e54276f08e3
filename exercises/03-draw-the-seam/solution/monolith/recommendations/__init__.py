"""Recommendations: what goes well with a product."""

from monolith.recommendations.interface import RecommendationsUnavailable, Recommender, recommender
from monolith.recommendations.learning import Bought, catch_up, learn, start_learning
from monolith.recommendations.local import LocalRecommender
from monolith.recommendations.routes import api

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

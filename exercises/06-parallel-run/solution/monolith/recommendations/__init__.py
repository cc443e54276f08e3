"""Recommendations: what goes well with a product."""

from monolith.recommendations.comparisons import Comparisons
from monolith.recommendations.interface import RecommendationsUnavailable, Recommender, recommender
from monolith.recommendations.learning import Bought, catch_up, learn, start_learning
from monolith.recommendations.local import LocalRecommender
from monolith.recommendations.remote import RemoteRecommender
from monolith.recommendations.routes import api
from monolith.recommendations.shadow import ShadowRecommender

__all__ = [
    "Bought",
    "Comparisons",
    "LocalRecommender",
    "RecommendationsUnavailable",
    "Recommender",
    "RemoteRecommender",
    "ShadowRecommender",
    "api",
    "catch_up",
    "learn",
    "recommender",
    "start_learning",
]

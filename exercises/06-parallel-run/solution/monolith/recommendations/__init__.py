"""Recommendations: what goes well with a product."""

from .comparisons import Comparisons
from .interface import RecommendationsUnavailable, Recommender, recommender
from .learning import Bought, catch_up, learn, start_learning
from .local import LocalRecommender
from .remote import RemoteRecommender
from .routes import api
from .shadow import ShadowRecommender

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

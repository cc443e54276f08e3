"""Recommendations, as the monolith knows them: somebody else to ask, and a switch to do without."""

from .interface import RecommendationsUnavailable, Recommender, recommender
from .remote import RemoteRecommender
from .routes import api
from .switch import NoRecommender, Switch, SwitchingRecommender

__all__ = [
    "NoRecommender",
    "RecommendationsUnavailable",
    "Recommender",
    "RemoteRecommender",
    "Switch",
    "SwitchingRecommender",
    "api",
    "recommender",
]

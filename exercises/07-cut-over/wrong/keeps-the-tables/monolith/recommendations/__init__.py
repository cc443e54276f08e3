"""Recommendations, as the monolith knows them: somebody else to ask, and a switch to do without."""

from monolith.recommendations import models  # noqa: F401 - so that the tables are made
from monolith.recommendations.interface import RecommendationsUnavailable, Recommender, recommender
from monolith.recommendations.remote import RemoteRecommender
from monolith.recommendations.switch import NoRecommender, Switch, SwitchingRecommender

__all__ = [
    "NoRecommender",
    "RecommendationsUnavailable",
    "Recommender",
    "RemoteRecommender",
    "Switch",
    "SwitchingRecommender",
    "recommender",
]

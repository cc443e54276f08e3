"""Recommendations, as the monolith knows them: somebody else to ask, and a switch to do without."""

from . import models  # noqa: F401 - so that the tables are made
from .interface import RecommendationsUnavailable, Recommender, recommender
from .remote import RemoteRecommender
from .switch import NoRecommender, Switch, SwitchingRecommender

__all__ = [
    "NoRecommender",
    "RecommendationsUnavailable",
    "Recommender",
    "RemoteRecommender",
    "Switch",
    "SwitchingRecommender",
    "recommender",
]

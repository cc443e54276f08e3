"""Recommendations in the monolith: a client of the service, and a switch that can turn it off."""

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

"""The words that an experiment's file may use for its shops, its arrivals and its actions."""

from typing import Literal

Kind = Literal["monolith", "microservices"]
"""The architecture of a shop."""
Shape = Literal["poisson", "fixed"]
"""Arrivals at random (a Poisson process), or at equal distances."""
ActionKind = Literal["kill", "dead", "hang", "slow", "restart", "add"]
"""A fault, a rolling restart, or the addition of one replica."""

"""The words that an experiment's file may use for its shops, its arrivals and what is done to a shop."""

from typing import Literal

Kind = Literal["monolith", "microservices"]
Shape = Literal["poisson", "fixed"]
What = Literal["kill", "dead", "hang", "slow", "restart", "add"]
"""An action: a fault, a rolling restart, or one replica more."""

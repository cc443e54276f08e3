"""The words that an experiment's file may use for its shops, its arrivals and its actions; and the usual promise."""

from typing import Literal

Kind = Literal["monolith", "microservices"]
"""The architecture of a shop."""
Shape = Literal["poisson", "fixed"]
"""Arrivals at random (a Poisson process), or at equal distances."""
ActionKind = Literal["kill", "dead", "hang", "slow", "restart", "add"]
"""A fault, a rolling restart, or the addition of one replica."""
LASTING_FAULTS = frozenset[ActionKind]({"dead", "hang", "slow"})
"""Faults that last until the end of their phase."""
PROMISE_MS = 250.0
"""The promised time of all experiments, unless their file says otherwise."""
Variant = Literal["node", "numpy"]
"""Recommendations on Node, or its hot code with NumPy (`loadtests.rig.variants`)."""

"""The personas for Locust: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8000`.

Here each user waits for its responses (a closed model), which is right for experiments in the web UI. To compare shops,
use `loadtests run`, which has open arrivals.
"""

from loadtests.load.personas import Buyer, RecommendationWidget, Searcher, WindowShopper

__all__ = ["Buyer", "RecommendationWidget", "Searcher", "WindowShopper"]

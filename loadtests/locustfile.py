"""The shop's visitors for Locust: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8000`.

Waits here are closed (each user waits for its answer), right for trying things out in the web UI. For
numbers to compare shops by, use `loadtests run`, which opens the arrivals.
"""

from loadtests.load.personas import Buyer, RecommendationWidget, Searcher, WindowShopper

__all__ = ["Buyer", "RecommendationWidget", "Searcher", "WindowShopper"]

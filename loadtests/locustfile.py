"""The personas for Locust: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8000`.

The load here is closed: each user waits for an answer before the next request. That is right for trying things out in
the web UI. To compare shops by numbers, use `loadtests run`, whose arrivals are open.
"""

from loadtests.load.personas import Buyer, RecommendationWidget, Searcher, WindowShopper

__all__ = ["Buyer", "RecommendationWidget", "Searcher", "WindowShopper"]

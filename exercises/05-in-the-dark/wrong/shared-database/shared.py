"""Serves recommendations on the monolith's database, which has all the tables."""

from __future__ import annotations

import os
import sys

from microservices.chassis.serve import main

os.environ["SHOP_DATABASE_URL"] = os.environ["SHOP_DATABASE_URL"].replace("recommendations.", "monolith.")
sys.exit(main(["microservices.recommendations.app"]))

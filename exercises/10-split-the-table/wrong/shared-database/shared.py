"""Serves the catalog on the monolith's database."""

from __future__ import annotations

import os
import sys

from microservices.chassis.serve import main

os.environ["SHOP_DATABASE_URL"] = os.environ["SHOP_DATABASE_URL"].replace("catalog.", "monolith.")
sys.exit(main(["microservices.catalog.app"]))

"""The shop's processes: how each is started, and how its database is filled."""

from __future__ import annotations

from pathlib import Path

from microservices.topology import Service, Topology

TOPOLOGY = Topology(
    "workspace",
    services=(
        Service(
            "monolith",
            ("-m", "monolith.cli", "serve", "--host", "{host}", "--port", "{port}"),
            slots=2,
            needs=("recommendations", "catalog", "mailer"),
            # Both are still inside the monolith: customers' keys and the feed of orders come from it.
            aliases=("accounts", "orders"),
        ),
        Service(
            "recommendations",
            ("-m", "microservices.chassis.serve", "microservices.recommendations.app"),
            needs=("orders",),
            reads_jwks=True,
            threads=2,
            slots=8,
        ),
        Service(
            "catalog",
            ("-m", "microservices.chassis.serve", "microservices.catalog.internal"),
            reads_jwks=True,
            slots=2,
        ),
        # Nobody outside asks it anything: it has no public path, and takes events of the monolith.
        Service(
            "mailer",
            ("-m", "microservices.chassis.serve", "microservices.mailer.app"),
            slots=1,
        ),
    ),
    caddyfile=Path("Caddyfile"),
)

SEED = {
    "monolith": ("-m", "monolith.cli", "seed"),
    "catalog": ("-m", "microservices.catalog.seed", "{dataset}"),
    "recommendations": ("backfill.py", "{dataset}"),
}
"""For each service, the command that fills its database; {dataset} is a folder with the data set as JSON lines."""

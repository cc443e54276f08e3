"""Which processes the shop is made of, and how each of them is started and filled."""

from __future__ import annotations

from pathlib import Path

from microservices.topology import Service, Topology

TOPOLOGY = Topology(
    "workspace",
    services=(
        Service(
            "monolith",
            ("-m", "monolith.cli", "serve", "--host", "{host}", "--port", "{port}"),
            slots=1,
            needs=("recommendations",),
            # Both are still inside: customers' keys and the feed of orders come from here.
            aliases=("accounts", "orders"),
        ),
        Service(
            "recommendations",
            ("-m", "microservices.chassis.serve", "microservices.recommendations.app"),
            needs=("orders",),
            reads_jwks=True,
            threads=2,
            slots=1,
        ),
    ),
    caddyfile=Path("Caddyfile"),
)

SEED = {
    "monolith": ("-m", "monolith.cli", "seed"),
    "recommendations": ("backfill.py", "{dataset}"),
}
"""By service: what fills its database; {dataset} is a folder with the shop's past as JSON lines."""

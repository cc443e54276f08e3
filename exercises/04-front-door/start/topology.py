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
            slots=1,
        ),
    ),
    caddyfile=Path("Caddyfile"),
)

SEED = {"monolith": ("-m", "monolith.cli", "seed")}
"""For each service, the command that fills its database."""

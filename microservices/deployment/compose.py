"""compose.yaml, made from both topologies and a template."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from microservices.deployment import facts, gateway_files
from microservices.launcher.environment import callees
from microservices.topology import MONOLITH, SPLIT, Service, Topology


def compose_file() -> str:
    """The text of compose.yaml."""
    templates = Environment(  # noqa: S701 -- it makes YAML, not HTML
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template("compose.yaml.j2").render(
        facts=facts,
        project=gateway_files.PROJECT,
        split=SPLIT,
        monolith=MONOLITH.services[0],
        settings=settings,
    )


def settings(service: Service, topology: Topology = SPLIT) -> dict[str, str]:
    """What a container of the service is told that is no secret."""
    ports = gateway_files.ContainerNames(topology).internal
    own = {"SHOP_THREADS": str(service.threads)}
    return own | callees(topology, service, lambda name: f"http://gateway:{ports[name]}")

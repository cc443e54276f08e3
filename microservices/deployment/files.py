"""All files that are made: their paths and texts, written by `make` and compared by `check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from microservices.deployment import cluster, compose, databases, facts, gateway_files
from microservices.topology import MONOLITH, SPLIT

Files = Mapping[str, str]
"""By path from the top of the repository, the text."""


def for_containers() -> Files:
    """What `docker compose` needs."""
    return {
        "compose.yaml": compose.compose_file(),
        "containers/databases.sql": databases.sql(SPLIT, MONOLITH),
        "containers/gateway-microservices.json": gateway_files.for_compose(SPLIT),
        "containers/gateway-monolith.json": gateway_files.for_compose(MONOLITH),
    }


def for_clusters(root: Path = facts.ROOT) -> Files:
    """What `kubectl apply -k` needs for both shops; the autoscalers' policies are read below `root`."""
    made: dict[str, str] = {}
    for topology in (SPLIT, MONOLITH):
        policy = root / topology.name / "kubernetes" / cluster.policy_file(topology)
        made |= cluster.kubernetes_files(topology, policy.read_text(encoding="utf-8"))
    return made


def stale(root: Path, files: Files) -> list[str]:
    """Paths whose file is missing or has another text."""
    return [path for path, text in files.items() if _text(root / path) != text]


def write(root: Path, files: Files, say: Callable[[str], None]) -> None:
    """Write the files that are stale."""
    for path in stale(root, files):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
        say(f"Wrote {path}")


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None

"""A span: one piece of work for a request, in one process, with the span that asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REQUEST_ID = "shop.request_id"
"""The attribute by which a trace is found."""


PATH = "url.path"


def title(name: str, attributes: Mapping[str, Any]) -> str:
    """The span's name for people: the gateway's is only a method, because it knows no routes."""
    return f"{name} {attributes[PATH]}" if PATH in attributes and "/" not in name else name


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since the epoch, by the clock of the process that worked."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    parent_id: str | None
    service: str
    name: str
    kind: str
    """`server`, `client`, `producer`, `consumer` or `internal`."""
    start: int
    end: int
    failed: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    """Ids of traces that this one goes on from."""

    @property
    def request_id(self) -> str | None:
        """The request id that the span carries."""
        found = self.attributes.get(REQUEST_ID)
        return None if found is None else str(found)

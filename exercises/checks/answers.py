"""One answer of a shop, with its request as a curl line to copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_SHOWN = 300


@dataclass(frozen=True)
class Answer:
    """Status 0 means that there was no answer; then `text` is the reason."""

    status: int
    headers: Mapping[str, str]
    """Names ignore case. Repeated headers are joined by commas; for cookies see `set_cookies`."""
    text: str
    seconds: float
    curl: str
    """The request."""
    set_cookies: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)
    response: Any = field(default=None, repr=False, compare=False)
    """The `requests.Response`; None without an answer."""

    def json(self) -> Any:
        """The body as JSON; None when it is not JSON, so that a comparison fails instead of the check."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    def __str__(self) -> str:
        """The text shown as "got": the status and the beginning of the body."""
        if not self.status:
            return f"no answer: {self.text}"
        body = " ".join(self.text.split())
        return f"{self.status} {body[:MAX_SHOWN]}{'…' if len(body) > MAX_SHOWN else ''}".rstrip()

"""Rules for generated requests that JSON Schema cannot express. The configuration of Schemathesis names this module."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(_context: schemathesis.HookContext, body: Any) -> Any:
    """Send 80 for a generated 80.0. Both are integers for JSON Schema, but only 80 is one for the shops."""
    if isinstance(body, dict):
        return {name: _whole(value) for name, value in body.items()}
    return body


@schemathesis.hook
def filter_query(_context: schemathesis.HookContext, query: Any) -> bool:
    """Leave out lists that contain an empty string: in a URL they look like a shorter list, or like none."""
    values = query.values() if isinstance(query, dict) else ()
    return not any(isinstance(value, list) and "" in map(str, value) for value in values)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value

"""Bodies and query strings, checked before any of the shop's code sees them.

The order is part of the contract: size, content type, JSON, then the fields. A field the shop does not know is
refused, so that a client cannot add a price or a status.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import BodyTooLarge, InvalidRequest, MalformedJson, UnsupportedMediaType

MAX_BODY_BYTES = 65_536
MAX_NUMBER = 999_999_999


class Body(BaseModel):
    """A request body: no unknown fields, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


BodyT = TypeVar("BodyT", bound=Body)


def body(model: type[BodyT]) -> BodyT:
    """The request's JSON body as `model`; raises the problem that the contract names for anything else."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"A body may have at most {MAX_BODY_BYTES} bytes.")
    raw = request.stream.read(MAX_BODY_BYTES + 1)
    if len(raw) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"A body may have at most {MAX_BODY_BYTES} bytes.")
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedJson("The body cannot be read as JSON.") from None
    if not isinstance(data, dict):
        raise invalid("body", "must be a JSON object")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidRequest("The body is not valid.", errors=_fields(error)) from None


def query_number(name: str, default: int, low: int, high: int = MAX_NUMBER) -> int:
    """The query parameter as a whole number between `low` and `high`."""
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise invalid(name, f"must be a whole number from {low} to {high}")
    return int(text)


def query_text(name: str, longest: int) -> str:
    """The query parameter as text without surrounding space; empty when it is absent."""
    text = request.args.get(name, "").strip()
    if len(text) > longest:
        raise invalid(name, f"must have at most {longest} characters")
    if "\x00" in text:
        raise invalid(name, "must not contain a NUL character")
    return text


def invalid(field: str, message: str) -> InvalidRequest:
    """The problem for one field."""
    return InvalidRequest("The request is not valid.", errors=[{"field": field, "message": message}])


def _fields(error: ValidationError) -> list[dict[str, Any]]:
    return [
        {"field": ".".join(map(str, item["loc"])) or "body", "message": item["msg"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]

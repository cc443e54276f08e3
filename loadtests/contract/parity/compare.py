"""Compares two responses without what may differ: ids that a shop made, tokens, keys, times.

An id that a step of the script created is replaced by a name for that step. So a list that contains the wrong order
still differs. All seeded data must be equal, also its times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

COMPARED_HEADERS = (
    "Location",
    "Idempotency-Replayed",
    "WWW-Authenticate",
    "Retry-After",
    "Allow",
    "Content-Range",
)
SECRETS = frozenset({"token", "x", "kid"})
TIME_OF_DAY = re.compile(r"(?<![\d.])\d{1,2}:\d{2}(:\d{2})?(?!\d)")  # and not a port
MAX_SHOWN = 3
LONGEST_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Difference:
    """A step with different responses: the request as a curl command, and the different parts of each response."""

    step: int
    request: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a shop. The body of a page is the list of its visible texts."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: Any

    def normal(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The response as flat facts (path → value), with the shop's ids replaced by their names in the script."""
        facts = {"status": self.status, "content type": self.content_type}
        facts |= {f"header {name}": _rename(value, names) for name, value in self.headers.items()}
        return facts | dict(_flatten("body", _normal_body(self.body, names)))


def parse(response: requests.Response) -> Answer:
    """The parts of a response that are compared."""
    return parts_of(response.status_code, response.headers, response.text)


def parts_of(status: int, given: Mapping[str, str], text: str) -> Answer:
    """The same for a response that was read without `requests`; the case of the names in `given` does not matter."""
    values = CaseInsensitiveDict(given)
    content_type = values.get("Content-Type", "").partition(";")[0]
    headers = {name: values[name] for name in COMPARED_HEADERS if name in values}
    body: Any = text
    if "json" in content_type:
        try:
            body = json.loads(text)
        except ValueError:
            content_type += " (broken)"
    elif content_type == "text/html":
        body = visible_texts(text)
    return Answer(status, content_type, headers, body)


def differences_of(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, str] | None:
    """The facts that differ, as text for each side; None if all are equal."""
    different = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    if not different:
        return None
    more = f" and {len(different) - MAX_SHOWN} more" if len(different) > MAX_SHOWN else ""
    return _show(a, different[:MAX_SHOWN]) + more, _show(b, different[:MAX_SHOWN]) + more


def visible_texts(html: str) -> list[str]:
    """The visible texts of a page, without times of day, which depend on when the script ran."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    return reader.texts


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text:
            self.texts.append(TIME_OF_DAY.sub("<time>", text))


def _normal_body(body: Any, names: Mapping[str, str]) -> Any:
    if isinstance(body, dict):
        made_by_script = body.get("id") in names
        return {
            key: f"<{key}>"
            if key in SECRETS or (key == "created_at" and made_by_script)
            else _normal_body(value, names)
            for key, value in body.items()
        }
    if isinstance(body, list):
        return [_normal_body(entry, names) for entry in body]
    return _rename(body, names) if isinstance(body, str) else body


def _rename(text: str, names: Mapping[str, str]) -> str:
    if text in names:
        return names[text]
    for made, name in names.items():
        if made in text:
            text = text.replace(made, name)
    return text


def _flatten(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _flatten(f"{path}.{key}", entry)
    elif isinstance(value, list) and value:
        for index, entry in enumerate(value):
            yield from _flatten(f"{path}[{index}]", entry)
    else:
        # The type is part of the fact: 1, 1.0 and true are different.
        yield path, (type(value).__name__, value)


def _show(facts: Mapping[str, Any], names: list[str]) -> str:
    shown = []
    for name in names:
        fact = facts.get(name, "nothing")
        value = repr(fact[1]) if isinstance(fact, tuple) else str(fact)
        shown.append(f"{name}: {value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + '...'}")
    return ", ".join(shown)

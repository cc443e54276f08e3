"""Checks a response against docs/openapi.yaml, which must document its status, content type, headers and body.

A path that is not in the file must answer 404 `not-found`, and a missing method of a documented path 405. OpenAPI has
no operation for these two responses, so the file has them among its components.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own
from referencing import Registry
from referencing.jsonschema import DRAFT202012

CONTRACT_FILE = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"
METHODS = ("get", "put", "post", "delete", "patch")
DOCUMENT = "urn:contract"


class ContractBroken(AssertionError):
    """A response that the contract does not allow."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, as the file describes it."""

    id: str
    method: str
    path: str
    responses: Mapping[str, Any]


class Contract:
    """The parsed file, and the check of a response against it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._registry = Registry().with_resource(DOCUMENT, DRAFT202012.create_resource(document))
        self.operations = list(self._read_operations())
        # Literal paths come first, because a template may match them too: /api/customers/me is no parameter.
        self._patterns = sorted(
            {(path.count("{"), path, _pattern(path)) for path in document["paths"]},
            key=lambda entry: entry[:2],
        )

    @classmethod
    def load(cls, file: Path = CONTRACT_FILE) -> Contract:
        """The contract in `file`."""
        return cls(yaml.safe_load(file.read_text(encoding="utf-8")))

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: Any) -> None:
        """Raise ContractBroken unless the file allows the response. `body` is parsed JSON, text, or None if empty."""
        where = f"{method} {path} answered {status}"
        expected = self._expected(method, path, status, where)
        for name, header in expected.get("headers", {}).items():
            self._check_header(where, name, self.resolve(header), headers.get(name))
        content = expected.get("content", {})
        if not content:
            _require(body in (None, ""), f"{where} with a body, where the contract has none")
            return
        media_type = headers.get("Content-Type", "").partition(";")[0]
        _require(
            media_type in content, f"{where} as {media_type!r}, the contract says {' or '.join(content)}"
        )
        self.check_value(where, content[media_type]["schema"], body)

    def check_value(self, where: str, schema: Mapping[str, Any], value: Any) -> None:
        """Raise ContractBroken unless the value fits the schema, which may have references into the file."""
        validator = Draft202012Validator(self._absolute(schema), registry=self._registry)
        faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        _require(not faults, f"{where}, but the body breaks the contract: {'; '.join(faults)}")

    def resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """The node itself, or what its `$ref` points to."""
        while "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def _read_operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield Operation(item[method]["operationId"], method, path, item[method]["responses"])

    def _expected(self, method: str, path: str, status: int, where: str) -> Mapping[str, Any]:
        template = next((name for _, name, pattern in self._patterns if pattern.fullmatch(path)), None)
        item = self.document["paths"].get(template, {})
        if method.lower() in item:
            responses = item[method.lower()]["responses"]
        elif item:
            responses = {"405": {"$ref": "#/components/responses/MethodNotAllowed"}}
        else:
            responses = {"404": {"$ref": "#/components/responses/NotFound"}}
        _require(str(status) in responses, f"{where}, the contract knows only {', '.join(responses)}")
        return self.resolve(responses[str(status)])

    def _check_header(self, where: str, name: str, header: Mapping[str, Any], value: str | None) -> None:
        if value is None:
            _require(not header.get("required", False), f"{where} without the header {name}")
        else:
            self.check_value(f"{where} with {name}: {value}", header["schema"], value)

    def _absolute(self, schema: Any) -> Any:
        """The schema with absolute references into this file, so that it can be used alone."""
        if isinstance(schema, Mapping):
            return {
                key: DOCUMENT + value if key == "$ref" else self._absolute(value)
                for key, value in schema.items()
            }
        return [self._absolute(entry) for entry in schema] if isinstance(schema, list) else schema


def _pattern(path: str) -> re.Pattern[str]:
    # No parameter may contain a NUL character: such a path belongs to no route.
    return re.compile(re.sub(r"\\{[a-z_]+\\}", r"[^/\0]+", re.escape(path)))


def _require(kept: bool, sentence: str) -> None:
    if not kept:
        raise ContractBroken(sentence)

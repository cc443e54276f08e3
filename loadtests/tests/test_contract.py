"""docs/openapi.yaml is complete and consistent, and the check finds every undocumented response."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import openapi_spec_validator
import pytest

from loadtests.contract.acceptance.contract import Contract, ContractBroken

CONTRACT = Contract.load()
OPERATIONS = [
    (f"{method} {path}", operation)
    for path, item in CONTRACT.document["paths"].items()
    for method, operation in item.items()
]
each_operation = pytest.mark.parametrize(
    "operation", [operation for _, operation in OPERATIONS], ids=[name for name, _ in OPERATIONS]
)
PRODUCT = {"sku": "P00001", "name": "Tea", "description": "", "category": "tea", "price_cents": 100}
ID = {"X-Request-Id": "some-id"}
AS_JSON = ID | {"Content-Type": "application/json"}
AS_PROBLEM = ID | {"Content-Type": "application/problem+json"}


def problem(slug: str, status: int, **facts: Any) -> dict[str, Any]:
    schemas = CONTRACT.document["components"]["schemas"].values()
    titles = {
        schema["properties"]["type"]["const"]: schema["properties"]["title"]["const"]
        for schema in schemas
        if schema.get("$ref", "").endswith("/Problem")
    }
    kind = f"/problems/{slug}"
    return {"type": kind, "title": titles[kind], "status": status, "detail": "So it is."} | facts


def contents(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema of the file that has examples, with them."""
    if isinstance(node, dict):
        if "schema" in node and ("example" in node or "examples" in node):
            yield node
        for entry in node.values():
            yield from contents(entry)
    elif isinstance(node, list):
        for entry in node:
            yield from contents(entry)


def examples(content: dict[str, Any]) -> list[Any]:
    named = content.get("examples", {}).values()
    return [content["example"]] if "example" in content else [CONTRACT.resolve(one)["value"] for one in named]


def test_the_file_is_valid_openapi() -> None:
    openapi_spec_validator.validate(CONTRACT.document)


def test_every_example_fits_its_schema() -> None:
    described = list(contents(CONTRACT.document))
    for content in described:
        for example in examples(content):
            CONTRACT.check_value("the example", content["schema"], example)
    assert len(described) > 50


def test_every_operation_has_its_own_id() -> None:
    ids = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)


@each_operation
def test_every_answer_carries_a_request_id(operation: dict[str, Any]) -> None:
    for answer in operation["responses"].values():
        assert "X-Request-Id" in CONTRACT.resolve(answer)["headers"]


@each_operation
def test_every_operation_documents_its_errors(operation: dict[str, Any]) -> None:
    expected = {"500", "502", "503", "504"}
    if "requestBody" in operation:
        expected |= {"400", "413", "415", "422"}
    if "security" in operation:
        expected |= {"401"}
    if {"customerToken": ["admin"]} in operation.get("security", []):
        expected |= {"403"}
    assert expected <= operation["responses"].keys()


@each_operation
def test_a_request_body_allows_no_unknown_fields(operation: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert CONTRACT.resolve(content["schema"])["additionalProperties"] is False


@each_operation
def test_every_error_is_a_problem_with_its_own_status(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            continue
        schema = CONTRACT.resolve(answer)["content"]["application/problem+json"]["schema"]
        for one in schema.get("oneOf", [schema]):
            name = one["$ref"].rpartition("/")[2]
            properties = CONTRACT.document["components"]["schemas"][name]["properties"]
            assert str(properties["status"]["const"]) == status


def test_every_problem_has_its_own_type_and_is_used() -> None:
    schemas = CONTRACT.document["components"]["schemas"]
    kinds = [schema for schema in schemas.values() if schema.get("$ref", "").endswith("/Problem")]
    slugs = [schema["properties"]["type"]["const"].removeprefix("/problems/") for schema in kinds]
    answered = set(re.findall(r"`([a-z-]+)`", str(CONTRACT.document)))
    assert len(set(slugs)) == len(slugs) == 27
    assert set(slugs) <= answered


def test_a_documented_answer_passes() -> None:
    CONTRACT.check("GET", "/api/products/P00001", 200, AS_JSON, PRODUCT)
    CONTRACT.check("DELETE", "/api/cart", 204, ID, None)
    CONTRACT.check(
        "PATCH", "/api/cart", 405, AS_PROBLEM | {"Allow": "GET"}, problem("method-not-allowed", 405)
    )
    CONTRACT.check("GET", "/api/nothing", 404, AS_PROBLEM, problem("not-found", 404))
    CONTRACT.check("GET", "/api/products/X", 404, AS_PROBLEM, problem("unknown-product", 404, sku="X"))


@pytest.mark.parametrize(
    ("method", "path", "status", "headers", "body"),
    [
        ("GET", "/api/products/P00001", 202, AS_JSON, PRODUCT),
        ("GET", "/api/products/P00001", 200, {"Content-Type": "application/json"}, PRODUCT),
        ("GET", "/api/products/P00001", 200, AS_JSON | {"X-Request-Id": "two words"}, PRODUCT),
        ("GET", "/api/products/P00001", 200, ID | {"Content-Type": "text/html"}, PRODUCT),
        ("GET", "/api/products/P00001", 200, AS_JSON, PRODUCT | {"price_cents": "100"}),
        ("GET", "/api/products/P00001", 200, AS_JSON, PRODUCT | {"cost_cents": 50}),
        ("GET", "/api/products/P00001", 404, AS_PROBLEM, problem("not-found", 404)),
        ("GET", "/api/products/P00001", 404, AS_PROBLEM, problem("unknown-product", 404)),
        ("GET", "/api/products/P00001", 404, AS_PROBLEM, problem("unknown-product", 400, sku="X")),
        ("GET", "/api/customers/me", 401, AS_PROBLEM, problem("not-authenticated", 401)),
        ("POST", "/api/customers/me", 201, AS_JSON, {}),
        ("GET", "/api/nothing", 200, AS_JSON, {}),
        ("DELETE", "/api/cart", 204, AS_JSON, {}),
    ],
    ids=[
        "status",
        "no request id",
        "malformed request id",
        "content type",
        "type of a field",
        "unknown field",
        "another problem",
        "problem without its facts",
        "problem with another status",
        "no WWW-Authenticate",
        "method",
        "route",
        "body where none belongs",
    ],
)
def test_an_undocumented_answer_does_not_pass(
    method: str, path: str, status: int, headers: dict[str, str], body: Any
) -> None:
    with pytest.raises(ContractBroken, match=f"^{method} {path} answered {status}"):
        CONTRACT.check(method, path, status, headers, body)

"""What a service relies on in the answers of others is what they promise, or for internal routes what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict
from unittest.mock import patch

import pytest
import requests
import yaml

from microservices.chassis.events import Feed
from microservices.orders.answers import CartLines, Effect
from microservices.tests.in_process import Direct
from microservices.tests.shops import CARD, DECLINED, shop_in_process
from microservices.tests.test_authorisation import INTERNAL as ALL_INTERNAL
from microservices.tests.test_authorisation import plain

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text("utf-8"))["components"]["schemas"]
SERVICES = sorted(file.parent.name for file in (ROOT / "microservices").glob("*/answers.py"))
SCALARS = {"string": str, "integer": int, "number": float}
CALLED_OTHERWISE = {"PlacedOrder": "Order"}
INSIDE_OTHERS = {"Category", "Recommendation", "CartLine"}
"""Items whose schema has no name of its own."""
INTERNAL = {
    "GET /internal/carts/<customer_id>": CartLines,
    "POST /internal/carts/<customer_id>/checked-out": None,
    "POST /internal/reservations": Effect,
    "POST /internal/reservations/<order_id>/commit": Effect,
    "POST /internal/reservations/<order_id>/release": Effect,
    "POST /internal/payments": Effect,
    "POST /internal/payments/<order_id>/refund": Effect,
    "GET /internal/events": Feed,
}
"""What the callers of internal routes rely on; None where there is no body."""


class Thing(TypedDict):
    sku: int
    weight: int


class Things(TypedDict):
    items: list[Thing]


def shapes(service: str) -> Iterator[tuple[str, Any]]:
    """The TypedDicts of a service's answers.py by name, without those that stand for any."""
    for name, value in vars(import_module(f"microservices.{service}.answers")).items():
        if is_typeddict(value) and not getattr(value, "__parameters__", ()):
            yield name, value


def misfits(shape: Any, schema: dict[str, Any], where: str) -> list[str]:
    """What a type relies on and a schema does not promise."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if get_origin(shape) is list:
        return misfits(get_args(shape)[0], schema["items"], f"{where}[]")
    if not is_typeddict(shape):
        return [] if SCALARS.get(schema["type"]) is shape else [f"{where}: {schema['type']}"]
    found = []
    for name, inner in get_type_hints(shape).items():
        if name in schema["required"]:
            found += misfits(inner, schema["properties"][name], f"{where}.{name}")
        else:
            found.append(f"{where}.{name}")
    return found


def fits(value: Any, shape: Any) -> bool:
    """Whether a value is of a type."""
    if is_typeddict(shape):
        return all(
            name in value and fits(value[name], inner) for name, inner in get_type_hints(shape).items()
        )
    if get_origin(shape) is list:
        return all(fits(item, get_args(shape)[0]) for item in value)
    return type(value) is (get_origin(shape) or shape)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_relies_only_on_what_the_contract_promises(service: str) -> None:
    for name, shape in shapes(service):
        if shape not in INTERNAL.values() and name not in INSIDE_OTHERS:
            assert misfits(shape, SCHEMAS[CALLED_OTHERWISE.get(name, name)], name) == []


def test_what_the_contract_does_not_promise_is_seen() -> None:
    assert misfits(Things, SCHEMAS["Products"], "Things") == [
        "Things.items[].sku: string",
        "Things.items[].weight",
    ]


@contextmanager
def internal_answers() -> Iterator[dict[str, list[Any]]]:
    """The answers of internal routes while the block runs, by method and route."""
    found: dict[str, list[Any]] = {}
    send = Direct.send

    def watched(self: Direct, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = send(self, request, **options)
        path = request.path_url.partition("?")[0]
        if path.startswith("/internal/") and answer.ok:
            rule, _ = self.app.url_map.bind("").match(path, request.method, return_rule=True)
            documents = found.setdefault(f"{request.method} {plain(rule.rule)}", [])
            documents.append(answer.json() if answer.content else None)
        return answer

    with patch.object(Direct, "send", watched):
        yield found


def test_internal_routes_answer_what_their_callers_rely_on(tmp_path: Path) -> None:
    with shop_in_process("split", tmp_path) as shop, internal_answers() as found:
        for key, card in (("bought-key", CARD), ("declined-key", DECLINED)):
            shop.put_in_cart("C00001", "P00001")
            shop.check_out("C00001", key, card)
        shop.settle()
    assert set(found) == set(INTERNAL) == set(ALL_INTERNAL)
    for name, shape in INTERNAL.items():
        for document in found[name]:
            assert document is None if shape is None else fits(document, shape), (name, document)

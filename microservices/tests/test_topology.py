from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from microservices.launcher import WrongScale
from microservices.launcher.addresses import Addresses
from microservices.launcher.environment import make_keys, service_environment
from microservices.launcher.fleet import Fleet
from microservices.launcher.gateway import public_paths
from microservices.topology import MONOLITH, OPENAPI_FILE, SPLIT, Service, Topology


def test_every_service_that_is_called_exists():
    names = {service.name for service in SPLIT.services}
    for service in SPLIT.services:
        assert set(SPLIT.addresses_for(service)) <= names - {service.name}


def test_only_the_services_that_need_a_service_are_trusted_by_it():
    assert SPLIT.callers_of("inventory") == ("orders", "storefront")
    assert SPLIT.callers_of("payments") == ("orders",)


def test_a_service_that_checks_tokens_gets_the_address_of_accounts_but_is_not_trusted_there():
    assert "accounts" in SPLIT.addresses_for(SPLIT.service("cart"))
    assert "cart" not in SPLIT.callers_of("accounts")


def test_the_more_specific_path_comes_first():
    owners = [owner for _, owner in public_paths(SPLIT)]
    assert owners.index("recommendations") < owners.index("catalog") < owners.index("storefront")


def test_unowned_paths_of_the_api_are_a_404_in_the_split_and_the_monoliths_in_the_monolith():
    assert (("/api/*",), None) in public_paths(SPLIT)
    assert public_paths(MONOLITH) == [(("/*",), "monolith")]


@pytest.mark.parametrize("topology", [SPLIT, MONOLITH], ids=lambda topology: topology.name)
def test_the_gateway_repeats_the_posts_whose_key_the_contract_honours_and_no_others(topology):
    paths = yaml.safe_load(OPENAPI_FILE.read_text())["paths"]
    keyed = [
        path
        for path, operations in paths.items()
        if any(
            one.get("name") == "Idempotency-Key" for one in operations.get("post", {}).get("parameters", ())
        )
    ]
    assert keyed == [path for service in topology.services for path in service.keyed_posts] == ["/api/orders"]


@pytest.mark.parametrize(
    ("name", "count", "sentence"),
    [
        ("checkout", 1, "There is no service 'checkout'"),
        ("catalog", 9, "choose a number from 0 to 8"),
        ("catalog", -1, "choose a number from 0 to 8"),
    ],
)
def test_an_impossible_scale_is_refused_with_the_possible_values(name, count, sentence, tmp_path):
    with pytest.raises(WrongScale, match=sentence):
        Fleet(SPLIT, {name: count}, data_dir=tmp_path, home=tmp_path)


SPLITTING = Topology(
    "workspace",
    services=(
        Service("monolith", ("-m", "monolith"), needs=("recommendations",), aliases=("accounts", "orders")),
        Service("recommendations", ("-m", "recommendations"), needs=("orders",), reads_jwks=True),
    ),
)


def test_a_service_gets_the_calls_to_its_aliases_and_trusts_the_callers():
    assert SPLITTING.resolve("orders").name == "monolith"
    assert SPLITTING.callers_of("monolith") == ("recommendations",)
    assert SPLITTING.callers_of("recommendations") == ("monolith",)


def test_a_service_calls_in_the_names_that_are_its_aliases_and_in_no_other():
    topology = replace(SPLITTING, services=(*SPLITTING.services, Service("orders", ())))
    assert SPLITTING.names_of("monolith") == ("monolith", "accounts", "orders")
    assert topology.names_of("monolith") == ("monolith", "accounts")


def test_a_service_of_that_name_comes_before_an_alias():
    topology = replace(SPLITTING, services=(*SPLITTING.services, Service("orders", ())))
    assert topology.resolve("orders").name == "orders"


def test_an_unknown_name_resolves_to_no_service():
    with pytest.raises(KeyError):
        SPLITTING.resolve("payments")


def test_the_address_of_an_alias_is_that_of_its_service():
    addresses = Addresses(1, {"monolith": 2, "recommendations": 3}, {})
    env = service_environment(
        SPLITTING,
        SPLITTING.service("recommendations"),
        addresses=addresses,
        keys=make_keys(SPLITTING),
        home=Path(),
        data_dir=Path(),
        extra={},
    )
    assert env["SHOP_ORDERS_URL"] == env["SHOP_ACCOUNTS_URL"] == "http://127.0.0.1:2"
    assert json.loads(env["SHOP_TRUSTED_KEYS"]).keys() == {"monolith", "accounts", "orders"}


def test_a_caddyfile_must_serve_only_the_services_that_others_need():
    assert SPLITTING.internal_services() == ("monolith", "recommendations")
    alone = Topology("workspace", (Service("monolith", ()),), caddyfile=Path("Caddyfile"))
    assert alone.internal_services() == ()

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from microservices.launcher import WrongScale
from microservices.launcher.addresses import Addresses
from microservices.launcher.environment import make_keys, service_environment
from microservices.launcher.fleet import Fleet
from microservices.launcher.gateway import public_paths
from microservices.topology import MONOLITH, SPLIT, Service, Topology


def test_every_service_that_is_called_exists():
    names = {service.name for service in SPLIT.services}
    for service in SPLIT.services:
        assert set(SPLIT.addresses_for(service)) <= names - {service.name}


def test_only_named_callers_are_trusted():
    assert SPLIT.callers_of("inventory") == ("orders", "storefront")
    assert SPLIT.callers_of("payments") == ("orders",)


def test_whoever_checks_tokens_gets_the_address_of_accounts_but_is_not_trusted_there():
    assert "accounts" in SPLIT.addresses_for(SPLIT.service("cart"))
    assert "cart" not in SPLIT.callers_of("accounts")


def test_the_more_specific_path_comes_first():
    owners = [owner for _, owner in public_paths(SPLIT)]
    assert owners.index("recommendations") < owners.index("catalog") < owners.index("storefront")


def test_the_shared_api_has_an_end_and_the_monolith_owns_all_of_it():
    assert (("/api", "/api/*"), None) in public_paths(SPLIT)
    assert public_paths(MONOLITH) == [(("/*",), "monolith")]


@pytest.mark.parametrize(
    ("name", "count", "sentence"),
    [
        ("checkout", 1, "There is no service 'checkout'"),
        ("catalog", 9, "choose a number from 0 to 8"),
        ("catalog", -1, "choose a number from 0 to 8"),
    ],
)
def test_a_scale_that_cannot_be_is_refused_with_a_choice(name, count, sentence, tmp_path):
    with pytest.raises(WrongScale, match=sentence):
        Fleet(SPLIT, {name: count}, data_dir=tmp_path, home=tmp_path)


SPLITTING = Topology(
    "workspace",
    services=(
        Service("monolith", ("-m", "monolith"), needs=("recommendations",), aliases=("accounts", "orders")),
        Service("recommendations", ("-m", "recommendations"), needs=("orders",), reads_jwks=True),
    ),
)


def test_whoever_stands_for_a_service_gets_its_calls_and_trusts_its_callers():
    assert SPLITTING.resolve("orders").name == "monolith"
    assert SPLITTING.callers_of("monolith") == ("recommendations",)
    assert SPLITTING.callers_of("recommendations") == ("monolith",)


def test_a_service_that_exists_answers_for_itself():
    standing = replace(SPLITTING, services=(*SPLITTING.services, Service("orders", ())))
    assert standing.resolve("orders").name == "orders"


def test_nobody_answers_to_a_name_that_nobody_has():
    with pytest.raises(KeyError):
        SPLITTING.resolve("payments")


def test_the_address_of_a_service_that_is_not_split_off_is_that_of_its_stand_in():
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
    assert json.loads(env["SHOP_TRUSTED_KEYS"]).keys() == {"monolith"}


def test_a_gateway_of_ones_own_must_offer_inside_only_what_somebody_needs():
    assert SPLITTING.internal_services() == ("monolith", "recommendations")
    alone = Topology("workspace", (Service("monolith", ()),), caddyfile=Path("Caddyfile"))
    assert alone.internal_services() == ()

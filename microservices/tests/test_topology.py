from __future__ import annotations

import pytest

from microservices.gateway import public_paths
from microservices.launcher import WrongScale
from microservices.launcher.fleet import Fleet
from microservices.topology import MONOLITH, SPLIT


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

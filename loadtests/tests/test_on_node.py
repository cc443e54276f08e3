"""The split with recommendations on Node: nobody else changed a line, and every test holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loadtests.tests import live
from loadtests.tests.live import Shops
from microservices.topology import SPLIT, on_node

pytestmark = [pytest.mark.processes, pytest.mark.acceptance]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    with live.on_sqlite(tmp_path_factory.mktemp("node"), on_node(SPLIT)) as shops:
        yield shops


def test_it_gives_equal_responses_to_one_script(shops: Shops) -> None:
    assert shops.parity.asked == live.SCRIPT
    assert shops.parity.differences == []


def test_the_acceptance_suite_holds(shops: Shops) -> None:
    live.expect_the_acceptance_suite_to_pass(shops.urls["microservices"])

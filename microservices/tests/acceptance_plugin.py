"""A pytest plugin: the acceptance suite against a shop in the tests' own process, without sockets.

    pytest loadtests/contract/acceptance -p microservices.tests.acceptance_plugin --in-process split

Below the suite's clients an adapter of `requests` calls the applications. Tests marked `served` are skipped, and tests
that ask for a path that the gateway answers by itself. Loops take a step whenever the suite waits.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack
from email.message import Message
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import pytest
import requests
from argon2 import PasswordHasher
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict

from loadtests.contract import client
from loadtests.contract.acceptance import waiting
from microservices.launcher.gateway import public_paths
from microservices.launcher.gateway_requests import path_regexp
from microservices.tests.shops import InProcessShop, shop_in_process
from microservices.topology import MONOLITH, SPLIT, Topology
from monolith.dataset import Sizes

TOPOLOGIES = {"monolith": MONOLITH, "split": SPLIT}
SIZES = Sizes(seed=1, products=200, customers=8, orders=60)
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""The suite registers 130 customers, and each signs in."""

_opened = pytest.StashKey[ExitStack]()


class InProcess(HTTPAdapter):
    """Calls the application that the gateway would give the request to."""

    def __init__(self, shop: InProcessShop, topology: Topology) -> None:
        super().__init__()
        self._shop = shop
        self._routes = [(path, None) for path, _ in topology.files] + [
            (path, owner) for paths, owner in public_paths(topology) for path in paths
        ]

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **_: Any
    ) -> requests.Response:
        """Skips the test if the gateway has the answer."""
        url = urlsplit(str(request.url))
        path = re.sub("/+", "/", unquote(url.path))  # Caddy matches it so, and passes it on as it came
        owner = next(owner for pattern, owner in self._routes if re.fullmatch(path_regexp(pattern), path))
        if owner is None:
            pytest.skip(f"the gateway answers {path!r} by itself")
        http = self._shop.app(owner).test_client(use_cookies=False)
        got = http.open(
            request.path_url,
            method=request.method,
            base_url=f"{url.scheme}://{url.netloc}",
            headers=dict(request.headers),
            data=request.body,
        )
        return self.build_response(request, _raw(got.status_code, list(got.headers), got.data))


def _raw(status: int, headers: list[tuple[str, str]], body: bytes) -> Any:
    """What urllib3 hands to `requests`, which reads cookies from the headers of http.client."""
    message = Message()
    for name, value in headers:
        message.add_header(name, value)
    return SimpleNamespace(
        status=status,
        reason="",
        headers=HTTPHeaderDict(headers),
        read=BytesIO(body).read,
        _original_response=SimpleNamespace(msg=message),
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--in-process", choices=list(TOPOLOGIES), required=True, help="the shop to test")


@pytest.hookimpl(tryfirst=True)  # before the suite asks whether the shop answers
def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--in-process")
    config.option.shop_url = f"http://{name}.invalid"
    stack = config.stash[_opened] = ExitStack()
    for package in ("monolith", "microservices"):
        stack.enter_context(patch(f"{package}.accounts.service._hasher", CHEAP))
    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    shop = stack.enter_context(shop_in_process(name, home, SIZES))
    stack.enter_context(
        patch.dict(client.ADAPTERS, {config.option.shop_url: InProcess(shop, TOPOLOGIES[name])})
    )
    stack.enter_context(patch.object(waiting, "between_polls", shop.run_loops))


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_opened].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if mark := item.get_closest_marker("served"):
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))

"""With tracing off, a shop is the same objects as without the module: there is nothing that could cost anything."""

from __future__ import annotations

import importlib

import pytest
import requests

from microservices.chassis import tracing as of_a_service
from microservices.tests.shops import shop_in_process
from monolith.chassis import tracing as of_the_monolith

STEPS = {"split": "microservices.orders.checkout", "monolith": "monolith.orders.checkout"}
HOOKS = ("before_request_funcs", "after_request_funcs", "teardown_request_funcs")


def layers(app):
    """The served WSGI application from the outside to Flask's own method, and Flask's hooks."""
    layer, found = app.wsgi_app, []
    while hasattr(layer, "_inner"):
        found.append(type(layer))
        layer = layer._inner
    return [*found, layer.__func__, *(_functions(getattr(app, name)) for name in HOOKS)]


def _functions(hooks):
    return [function.__qualname__ for functions in hooks.values() for function in functions]


@pytest.mark.parametrize("name", STEPS)
def test_the_served_stack_is_the_same_as_without_the_module(tmp_path, monkeypatch, name):
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    with shop_in_process(name, tmp_path / "with") as shop:
        served, engine = layers(shop.app("orders")), shop.database("orders").engine
        assert not list(engine.dispatch.before_cursor_execute)
    for module in (of_a_service, of_the_monolith):
        monkeypatch.setattr(module, "init_app", lambda *_arguments, **_options: None)
    with shop_in_process(name, tmp_path / "without") as shop:
        assert layers(shop.app("orders")) == served
    assert not hasattr(requests.Session.send, "__wrapped__")


@pytest.mark.parametrize("module", [of_a_service, of_the_monolith])
def test_a_step_of_the_work_is_the_function_itself(monkeypatch, module):
    def step():
        pass

    monkeypatch.delenv(module.ENDPOINT, raising=False)
    assert module.traced("a step")(step) is step
    monkeypatch.setenv(module.ENDPOINT, "http://127.0.0.1:4318")
    assert module.traced("a step")(step) is not step


@pytest.mark.parametrize("name", STEPS)
def test_no_step_of_a_checkout_is_wrapped(name):
    checkout = importlib.import_module(STEPS[name])
    assert not hasattr(checkout._price, "__wrapped__")

"""Writes the script. The same seed and catalogue give the same requests; no response of a shop changes them.

It starts with the sign-ins that it needs. Then it has every scene once in random order, so that it has each operation
of the contract. Then it adds random scenes until it is long enough.
"""

from __future__ import annotations

from loadtests.contract.parity import mistakes, oddities, scenes
from loadtests.contract.parity.steps import Catalogue, Step
from loadtests.contract.parity.writer import Writer

# Enough for the opening and every scene once; a test checks that.
MIN_REQUESTS = 240

SCENES = {
    scenes.browse: 6,
    scenes.search: 4,
    scenes.get_recommendations: 6,
    scenes.register: 1,
    scenes.fill_and_empty_the_cart: 4,
    scenes.buy: 8,
    scenes.pay_with_another_card: 2,
    scenes.pay_with_a_card_that_times_out: 0,  # only once, because each takes a second
    scenes.order_more_than_the_stock: 3,
    scenes.check_out_an_empty_cart: 1,
    scenes.change_a_price: 2,
    scenes.read_old_orders: 2,
    scenes.look_at_pages: 5,
    scenes.buy_on_pages: 2,
    mistakes.wrong_path: 1,
    mistakes.wrong_parameters: 4,
    mistakes.wrong_credentials: 2,
    mistakes.wrong_fields: 4,
    mistakes.wrong_json: 2,
    mistakes.wrong_forms: 1,
    oddities.odd_paths: 2,
    oddities.odd_methods: 2,
    oddities.odd_forms: 1,
    oddities.odd_headers: 1,
    oddities.odd_bodies: 1,
    oddities.odd_hosts: 1,
    oddities.not_http: 2,
}


def write_script(seed: int, requests: int, catalogue: Catalogue, *, odd: bool = True) -> list[Step]:
    """A script of exactly `requests` steps, MIN_REQUESTS or more; without `odd`, of proper requests only."""
    weights = {
        scene: weight for scene, weight in SCENES.items() if odd or scene.__module__ != oddities.__name__
    }
    writer = Writer(seed, catalogue)
    scenes.opening(writer)
    once = list(weights)
    writer.rng.shuffle(once)
    for scene in once:
        scene(writer)
    while len(writer.steps) < requests:
        (scene,) = writer.rng.choices(list(weights), list(weights.values()))
        scene(writer)
    return writer.steps[:requests]

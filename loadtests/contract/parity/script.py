"""Writes the script: the same seed and catalogue give the same requests, whatever any shop answers.

It opens with everybody it needs, plays every scene once in random order, so that each operation of the contract is
asked, and then goes on with random scenes until it is long enough.
"""

from __future__ import annotations

from loadtests.contract.parity import mistakes, scenes
from loadtests.contract.parity.steps import Catalogue, Step
from loadtests.contract.parity.writer import Writer

# Enough for the opening and one turn of every scene; a test holds this against what they write.
SHORTEST = 200

SCENES = {
    scenes.browse: 6,
    scenes.search: 4,
    scenes.ask_for_company: 6,
    scenes.arrive: 1,
    scenes.fill_and_empty_the_cart: 4,
    scenes.buy: 8,
    scenes.pay_with_another_card: 2,
    scenes.wait_for_the_provider: 0,  # a second each: once is enough
    scenes.want_too_much: 3,
    scenes.buy_nothing: 1,
    scenes.change_a_price: 2,
    scenes.read_old_orders: 2,
    scenes.look_at_pages: 5,
    scenes.buy_on_pages: 2,
    mistakes.wrong_address: 1,
    mistakes.wrong_parameters: 4,
    mistakes.wrong_person: 2,
    mistakes.wrong_fields: 4,
    mistakes.wrong_json: 2,
    mistakes.wrong_forms: 1,
}


def write_script(seed: int, requests: int, catalogue: Catalogue) -> list[Step]:
    """A script of exactly so many requests; at least SHORTEST."""
    writer = Writer(seed, catalogue)
    scenes.opening(writer)
    once = list(SCENES)
    writer.rng.shuffle(once)
    for scene in once:
        scene(writer)
    while len(writer.steps) < requests:
        (scene,) = writer.rng.choices(list(SCENES), list(SCENES.values()))
        scene(writer)
    return writer.steps[:requests]

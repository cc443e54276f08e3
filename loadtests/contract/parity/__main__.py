"""`python -m loadtests.contract.parity URL_A URL_B`: compare two shops, one line per difference."""

from __future__ import annotations

import sys

import click
import requests

from loadtests.contract.parity import run_parity
from loadtests.contract.parity.script import MIN_REQUESTS


@click.command()
@click.argument("url_a")
@click.argument("url_b")
@click.option("--seed", default=1, show_default=True, help="The seed of the script.")
@click.option(
    "--requests",
    "count",
    type=click.IntRange(MIN_REQUESTS),
    default=400,
    show_default=True,
    help="The number of requests.",
)
def main(url_a: str, url_b: str, seed: int, count: int) -> None:
    """Send the same requests to two shops and print the differences.

    Both need the same fresh seeded data: the script registers customers, buys products and sets prices.
    """
    try:
        result = run_parity(url_a, url_b, seed, count)
    except requests.RequestException:
        raise click.ClickException(f"No shop answers at {url_a}; start both shops first.") from None
    for difference in result.differences:
        click.echo(f"step {difference.step}: {difference.request} | A: {difference.a} | B: {difference.b}")
    click.echo(f"{result.asked} requests, {len(result.differences)} answered differently (seed {seed}).")
    sys.exit(1 if result.differences else 0)


main()

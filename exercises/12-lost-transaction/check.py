"""12: what is checked."""

from exercises.checks.checking import Bench, check


@check("first-works", task="first")
def _(bench: Bench) -> None:
    """The shop answers."""
    answer = bench.shop().ask("GET", "/")
    bench.expect(
        answer.status == 200,
        expected="200",
        got=answer,
        why="Why it matters.",
        look="monolith/storefront",
    )

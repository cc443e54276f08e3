"""11: what is checked."""

from exercises.checks.checking import Bench, check


@check("the-copy-arrives", task="copy")
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

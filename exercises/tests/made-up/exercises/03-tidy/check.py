from exercises.checks.checking import Bench, check


@check("nothing-old", task="tidy", shop=False)
def _(bench: Bench) -> None:
    """What is old is gone."""
    bench.expect(
        "new" in bench.text("monolith/style.py"),
        expected="new",
        got="old",
        why="Fashion.",
        look="monolith/style.py",
    )

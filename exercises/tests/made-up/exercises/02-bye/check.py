from exercises.checks.checking import Bench, check


@check("says-goodbye", task="bye")
def _(bench: Bench) -> None:
    """Your shop says goodbye."""
    answer = bench.shop().ask("GET", "/bye/ada")
    bench.expect(
        answer.text == "bye ada", expected="bye ada", got=answer, why="Manners.", look="monolith/farewell.py"
    )

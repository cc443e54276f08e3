from exercises.checks.checking import Bench, check


@check("greets", task="greet")
def _(bench: Bench) -> None:
    """Your shop greets every guest by name."""
    name = f"guest{bench.random.randrange(1000)}"
    answer = bench.shop().ask("GET", f"/hello/{name}")
    bench.expect(
        answer.text.startswith(f"hello {name}"),
        expected=f"hello {name}",
        got=answer,
        why="A guest who is not greeted leaves.",
        look="monolith/greeting.py",
    )
    bench.note("greeted 1 guest")


@check("no-print", task="tidy", shop=False)
def _(bench: Bench) -> None:
    """Your greeting prints nothing."""
    bench.expect(
        "print(" not in bench.text("monolith/greeting.py"),
        expected="no print",
        got="a print",
        why="Nobody reads it.",
        look="monolith/greeting.py",
    )


@check("short", task="tidy", shop=False, until="bye")
def _(bench: Bench) -> None:
    """Your greeting is short, for now."""
    bench.expect(
        len(bench.text("monolith/greeting.py")) < 200,
        expected="less than 200 characters",
        got=bench.text("monolith/greeting.py"),
        why="Short is enough.",
        look="monolith/greeting.py",
    )

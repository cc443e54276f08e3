"""A made-up course of three exercises and a shop of forty lines, so that the tool is tested without the real course.

01 changes greeting.py; 02 changes it again, brings farewell.py and a topology.py with a gateway; 03 takes old.py away.
"""

from __future__ import annotations

from pathlib import Path

SHOP = '''\
"""A shop of forty lines that speaks HTTP."""

import json
import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from monolith import greeting

FILE = os.environ["SHOP_DATABASE_URL"].removeprefix("sqlite:///")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, text = self.answer()
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self):
        path = unquote(self.path)
        try:
            if path in ("/", "/readyz"):
                return 200, "open"
            if path.startswith("/hello/"):
                return 200, greeting.hello(path.removeprefix("/hello/"))
            if path.startswith("/bye/"):
                from monolith import farewell

                return 200, farewell.bye(path.removeprefix("/bye/"))
            if path.startswith("/api/products"):
                with sqlite3.connect(FILE) as db:
                    rows = db.execute("SELECT sku FROM products ORDER BY sku").fetchall()
                return 200, json.dumps({"items": [{"sku": row[0]} for row in rows]})
            if path == "/pid":
                return 200, str(os.getpid())
        except Exception as error:
            print(f"cannot answer {path}: {error}", file=sys.stderr, flush=True)
            return 500, str(error)
        return 404, "nothing"

    def log_message(self, *_):
        pass


def main():
    if sys.argv[1] == "seed":
        with sqlite3.connect(FILE) as db:
            db.execute("CREATE TABLE products (sku TEXT)")
            db.executemany("INSERT INTO products VALUES (?)", [(f"P{os.environ['SHOP_SEED']}{n}",) for n in range(3)])
    elif sys.argv[1] == "dataset":
        os.makedirs(sys.argv[2])
    else:
        ThreadingHTTPServer((sys.argv[3], int(sys.argv[5])), Handler).serve_forever()


if __name__ == "__main__":
    main()
'''
CHECKS = {
    "01-hello": '''\
from exercises.checks.checking import Bench, check


@check("greets", task="greet")
def _(bench: Bench) -> None:
    """Your shop greets whoever comes by name."""
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
''',
    "02-bye": '''\
from exercises.checks.checking import Bench, check


@check("says-goodbye", task="bye")
def _(bench: Bench) -> None:
    """Your shop says goodbye."""
    answer = bench.shop().ask("GET", "/bye/ada")
    bench.expect(answer.text == "bye ada", expected="bye ada", got=answer, why="Manners.", look="monolith/farewell.py")
''',
    "03-tidy": '''\
from exercises.checks.checking import Bench, check


@check("nothing-old", task="tidy", shop=False)
def _(bench: Bench) -> None:
    """What is old is gone."""
    bench.expect(
        "new" in bench.text("monolith/style.py"), expected="new", got="old", why="Fashion.", look="monolith/style.py"
    )
''',
}
TOPOLOGY = """\
from microservices.topology import Service, Topology

TOPOLOGY = Topology(
    "workspace",
    (
        Service(
            "monolith",
            ("-m", "monolith.cli", "serve", "--host", "{host}", "--port", "{port}"),
            paths=("/",),
        ),
    ),
)
SEED = {"monolith": ("-m", "monolith.cli", "seed")}
"""
HELLO = 'def hello(name):\n    return "hello " + name\n'
BYE = 'def bye(name):\n    return "bye " + name\n'
FILES: dict[str, str] = {
    "docs/note.txt": "kept\n",
    "monolith/__init__.py": "",
    "monolith/cli.py": SHOP,
    "monolith/greeting.py": 'def hello(name):\n    return "what?"\n',
    "monolith/old.py": "AGE = 100\n",
    "monolith/style.py": 'STYLE = "old"\n',
    "monolith/tests/test_shop.py": "never taken over\n",
    "shared/tool.py": "TOOL = 1\n",
    "exercises/workshop.toml": """\
version = 1
title = "Manners"
base = ["monolith", "docs/note.txt"]
leave_out = ["tests", "__pycache__"]
exercises = ["01-hello", "02-bye", "03-tidy", "04-not-written"]

[[tracks]]
id = "all"
title = "All of it"
exercises = ["hello", "bye", "tidy", "not-written"]
""",
    "exercises/01-hello/exercise.toml": """\
id = "hello"
title = "Say hello"
minutes = 30
goal = "Greet by name."

[[tasks]]
id = "greet"
title = "Greet"
checks = ["greets"]

[[tasks]]
id = "tidy"
title = "Tidy up"
checks = ["no-print", "short"]

[[alt]]
name = "formatted"
says = "The text is formatted instead of added up."

[[wrong]]
name = "always-ada"
check = "greets"
words = "hello ada"
mistake = "The name is written into the code."

[[wrong]]
name = "prints"
check = "no-print"
words = "nobody reads it"
mistake = "The greeting goes to the log."

[[wrong]]
name = "long"
check = "short"
words = "less than 200"
mistake = "It says too much."
""",
    "exercises/01-hello/start/monolith/greeting.py": 'def hello(name):\n    return "hello"\n',
    "exercises/01-hello/solution/monolith/greeting.py": HELLO,
    "exercises/01-hello/alt/formatted/monolith/greeting.py": 'def hello(name):\n    return f"hello {name}"\n',
    "exercises/01-hello/wrong/always-ada/monolith/greeting.py": 'def hello(name):\n    return "hello ada"\n',
    "exercises/01-hello/wrong/prints/monolith/greeting.py": HELLO + 'print("hello")\n',
    "exercises/01-hello/wrong/long/monolith/greeting.py": HELLO + "#" * 200 + "\n",
    "exercises/02-bye/exercise.toml": """\
id = "bye"
title = "Say goodbye"
minutes = 60
goal = "Say goodbye by name."

[[tasks]]
id = "bye"
title = "Say goodbye"
checks = ["says-goodbye"]

[reference]
start = ["shared"]

[[alt]]
name = "formatted"
says = "The text is formatted."

[[wrong]]
name = "one"
check = "says-goodbye"
words = "got 200 bye"
mistake = "The name is forgotten."

[[wrong]]
name = "two"
check = "says-goodbye"
words = "got 502"
mistake = "The shop ends."

[[wrong]]
name = "three"
check = "says-goodbye"
words = "no module named"
mistake = "The file is gone."
remove = ["monolith/farewell.py"]
""",
    "exercises/02-bye/start/topology.py": TOPOLOGY,
    "exercises/02-bye/start/monolith/greeting.py": "GREETINGS = 1\n\n\n" + HELLO,
    "exercises/02-bye/start/monolith/farewell.py": 'def bye(name):\n    return "see you"\n',
    "exercises/02-bye/solution/monolith/farewell.py": BYE,
    "exercises/02-bye/alt/formatted/monolith/farewell.py": 'def bye(name):\n    return f"bye {name}"\n',
    "exercises/02-bye/wrong/one/monolith/farewell.py": 'def bye(name):\n    return "bye"\n',
    "exercises/02-bye/wrong/two/monolith/farewell.py": "import os\n\n\ndef bye(name):\n    os._exit(1)\n",
    "exercises/03-tidy/exercise.toml": """\
id = "tidy"
title = "Tidy up"
minutes = 60
goal = "Do away with what is old."

[[tasks]]
id = "tidy"
title = "Tidy up"
checks = ["nothing-old"]

[remove]
start = ["monolith/old.py"]

[[alt]]
name = "louder"
says = "It is said louder."

[[wrong]]
name = "one"
check = "nothing-old"
words = "fashion"
mistake = "Nothing is done."

[[wrong]]
name = "two"
check = "nothing-old"
words = "there is none"
mistake = "The file is gone."
remove = ["monolith/style.py"]

[[wrong]]
name = "three"
check = "nothing-old"
words = "expected new"
mistake = "It is only renamed."
""",
    "exercises/03-tidy/solution/monolith/style.py": 'STYLE = "new"\n',
    "exercises/03-tidy/alt/louder/monolith/style.py": 'STYLE = "new!"\n',
    "exercises/03-tidy/wrong/one/monolith/style.py": 'STYLE = "older"\n',
    "exercises/03-tidy/wrong/three/monolith/style.py": 'FASHION = "old"\n',
    **{f"exercises/{label}/check.py": text for label, text in CHECKS.items()},
}
TASKS = {
    "01-hello": (("greet", "Greet"), ("tidy", "Tidy up")),
    "02-bye": (("bye", "Say goodbye"),),
    "03-tidy": (("tidy", "Tidy up"),),
}

README = """\
# {label}

## Story

## Objectives

## Tasks

{tasks}

## Done when

## Think about

## Key points
"""
LADDER = """
## {task}

### Where to look

There.

### The idea

This.

### Nearly the code

```python
# so
```
"""


def write(repository: Path) -> Path:
    """Make the course; returns the folder of its exercises."""
    for place, text in FILES.items():
        path = repository / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for label, tasks in TASKS.items():
        folder = repository / "exercises" / label
        numbered = "\n\n".join(f"### {n}. {title}" for n, (_, title) in enumerate(tasks, start=1))
        folder.joinpath("README.md").write_text(README.format(label=label, tasks=numbered))
        folder.joinpath("hints.md").write_text(
            "# Hints\n" + "".join(LADDER.format(task=task) for task, _ in tasks)
        )
        folder.joinpath("instructor.md").write_text(
            "# T\n\n## Timing\n\n## Misconceptions\n\n## Questions\n\n## What to cut\n"
        )
    return repository / "exercises"

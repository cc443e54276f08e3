"""Writes what the code knows better: settings, topology and commands, and the tables of teaching and architecture.

`python -m docs.generate` writes them; `--check` writes nothing and ends with status 1 when one is stale.
"""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from docs.courses import tables
from docs.made import filled
from docs.rooms import PARTS, repository_map
from microservices.topology import MONOLITH, SPLIT, Service, Topology

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
NOTE = "<!-- Written by `python -m docs.generate` from the code: change the code instead. -->\n"
SETTING = re.compile(r"(SHOP_\S+): (.*?)(?: \(default:? ([^;]*)(; .*)?\))?\.?")


def main() -> int:
    """Write the generated pages, or say which are stale; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    check = parser.parse_args().check
    pages = {
        "settings.md": settings_page(),
        "topology.md": topology_page(),
        "commands.md": commands_page(),
        "teaching.md": filled((DOCS / "teaching.md").read_text(encoding="utf-8"), tables()),
        "architecture.md": filled(
            (DOCS / "architecture.md").read_text(encoding="utf-8"), {"map": repository_map}
        ),
    }
    stale = [name for name, text in pages.items() if not holds(DOCS / name, text)]
    if check and stale:
        sys.stderr.write(
            f"Stale: {', '.join(stale)}. Run `python -m docs.generate` and commit what it wrote.\n"
        )
        return 1
    for name in stale:
        (DOCS / name).write_text(pages[name], encoding="utf-8")
    return 0


def holds(path: Path, text: str) -> bool:
    """Whether the file exists and holds exactly this text."""
    return path.exists() and path.read_text(encoding="utf-8") == text


def settings_page() -> str:
    """Every setting that a frozen dataclass documents, by the file that reads it."""
    page = (
        f"# Settings\n\n{NOTE}\n"
        "Settings are environment variables. Each program reads them once, when it starts, and refuses a\n"
        "value that it cannot use with a sentence. Behind the gateway the launcher sets those of replicas.\n"
    )
    files = sorted(
        path
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        if not {"tests", "start", "solution", "alt", "wrong"} & set(path.parts)
    )
    told = {file: list(documented(file)) for file in files}
    meanings = {name: text for rows in told.values() for name, text, _ in rows}
    for file, rows in told.items():
        names = {name for name, _, _ in rows}
        rows += [
            (name, meanings.get(name, ""), value) for name, value in read_alone(file) if name not in names
        ]
        if rows:
            page += f"\n## {file.relative_to(ROOT).as_posix()}\n\n| setting | default | what it is |\n|---|---|---|\n"
            page += "".join(f"| `{name}` | {default} | {text} |\n" for name, text, default in rows)
    return page


def documented(file: Path) -> Iterator[tuple[str, str, str]]:
    """Name, meaning and default, from strings below the fields of a class that is read `from_env`.

    Such a string is "SHOP_X: meaning (default 1).", or a sentence with the setting in it. Other classes may speak of
    a setting, too, and have none.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for statement in node.body if isinstance(node, ast.ClassDef) and reads_settings(node) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                told = " ".join(str(statement.value.value).split())
                if found := SETTING.fullmatch(told):
                    name, text, default, note = (group or "" for group in found.groups())
                    yield name, text + note, default
                elif named := re.search(r"SHOP_[A-Z_]+", told):
                    yield named[0], told.rstrip("."), ""


def reads_settings(node: ast.ClassDef) -> bool:
    """Whether the class is made from the environment."""
    return any(isinstance(part, ast.FunctionDef) and part.name == "from_env" for part in node.body)


def read_alone(file: Path) -> Iterator[tuple[str, str]]:
    """Name and default of settings that a service reads beside its Config: `seconds(env, "SHOP_X", 1.0)`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and len(node.args) > 2:
            name, default = node.args[1:3]
            if isinstance(name, ast.Constant) and str(name.value).startswith("SHOP_"):
                yield str(name.value), ast.unparse(default)


def topology_page() -> str:
    """Who calls whom as a diagram, and what each service has, as a table."""
    page = (
        f"# Topology\n\n{NOTE}\n"
        "[topology.py](../microservices/topology.py) is the one place that says which services there are,\n"
        "which public paths they own and who calls whom. The gateway's configuration, the addresses and\n"
        "keys that each replica gets, and this page are made from it.\n\n"
        "An arrow is a call. Calls between services go through a loopback listener of the gateway, which\n"
        "picks the replica. Dotted: only the public keys that customers' tokens are checked with.\n\n"
    )
    return page + diagram(SPLIT) + "\n" + table(SPLIT) + "\n" + table(MONOLITH)


def diagram(topology: Topology) -> str:
    """The calls of a topology in Mermaid's words."""
    lines = ["```mermaid", "flowchart LR", "  gateway{{gateway}}"]
    for service in topology.services:
        lines += [f"  gateway --> {service.name}"] if service.paths else []
        lines += [f"  {service.name} --> {needed}" for needed in service.needs]
        keys = set(topology.addresses_for(service)) - set(service.needs)
        lines += [f"  {service.name} -.-> {needed}" for needed in sorted(keys)]
        lines += [f"  {service.name} --- {service.name}_db[({service.name})]"] if service.has_database else []
    return "\n".join([*lines, "```", ""])


def table(topology: Topology) -> str:
    """What each service of a topology owns, calls and is started with."""
    rows = [
        f"## {topology.name}",
        "",
        "| service | public paths | calls | called by | database | threads | slots |",
    ]
    rows += ["|---|---|---|---|---|---|---|"]
    rows += ["| " + " | ".join(cells(topology, service)) + " |" for service in topology.services]
    rows += [f"\nThe gateway itself answers `{path}` from a file." for path, _ in topology.files]
    return "\n".join(rows) + "\n"


def cells(topology: Topology, service: Service) -> Iterator[str]:
    """One row of the table."""
    yield service.name
    yield ", ".join(f"`{path}`" for path in service.paths) or "none"
    yield ", ".join(service.needs) or "none"
    yield ", ".join(topology.callers_of(service.name)) or "none"
    yield "own" if service.has_database else "none"
    yield str(service.threads)
    yield str(service.slots)


def commands_page() -> str:
    """What each command says about itself when it is asked for --help."""
    page = f"# Commands\n\n{NOTE}\n"
    page += "One folder, one import name, one command. `--help` says the same at the terminal.\n"
    for part in PARTS:
        if (ROOT / part / "cli.py").exists():
            page += "".join(command_help(root_command(part), part))
    return page


def root_command(part: str) -> click.Command:
    """The click command of a part."""
    module = importlib.import_module(f"{part}.cli")
    found = [value for value in vars(module).values() if isinstance(value, click.Group)]
    return found[0]


def command_help(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    """A section for the command, then one for each of its subcommands."""
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, max_content_width=100)
    context.terminal_width = 100  # the page must not depend on the terminal that it was made in
    level = "##" if parent is None else "###"
    yield f"\n{level} `{name}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from command_help(inner, f"{name} {each}", context)


if __name__ == "__main__":
    sys.exit(main())

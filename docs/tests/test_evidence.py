"""The essay's diagram shows the topology. Its cons, and the rows that hold across machines, name what exists."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from microservices.topology import SPLIT

ROOT = Path(__file__).resolve().parents[2]
EVIDENCE = re.compile(r"\[(?P<experiment>[a-z-]+)\]\([^)]*\)|\*(?P<row>[^*]+)\*|`(?P<test>test_\w+)`")


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next heading of the same level."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no heading {heading}"
    return found[1]


def edges(diagram: str) -> set[tuple[str, str]]:
    """The arrows of a Mermaid flowchart; `a --> b & c` is two of them."""
    lines = re.findall(r"^  (\w+) --> ([\w &]+)$", diagram, re.MULTILINE)
    return {(source, target) for source, targets in lines for target in targets.split(" & ")}


def cons() -> list[tuple[str, str]]:
    """Each con with the cell that names its evidence."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section("concepts.md", "Cons"), re.MULTILINE)
    return [row for row in rows if row[0] != "con"]


@cache
def rows_of(experiment: str) -> frozenset[str]:
    """The names of the rows in the ledger of an experiment."""
    file = ROOT / "loadtests" / "experiments" / f"{experiment}.toml"
    claims = tomllib.loads(file.read_text(encoding="utf-8"))["claims"]
    return frozenset(claim["claim"] for claim in claims)


@cache
def every_test() -> frozenset[str]:
    """The names of all tests of the project."""
    found: set[str] = set()
    for part in ("monolith", "microservices", "loadtests", "exercises"):
        for file in (ROOT / part).rglob("test_*.py"):
            found.update(re.findall(r"^ *def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    return frozenset(found)


def missing(cell: str) -> list[str]:
    """The rows and tests that a cell names but that do not exist; a row belongs to the experiment named before it."""
    lost, experiment = [], ""
    for found in EVIDENCE.finditer(cell):
        experiment = found["experiment"] or experiment
        if found["row"] and found["row"] not in rows_of(experiment):
            lost.append(found["row"])
        if found["test"] and found["test"] not in every_test():
            lost.append(found["test"])
    return lost


def test_the_diagram_shows_who_calls_whom() -> None:
    split = section("concepts.md", "Diagram").split("```mermaid")[2]
    public = {("gateway", service.name) for service in SPLIT.services if service.paths}
    calls = {(service.name, needed) for service in SPLIT.services for needed in service.needs}
    assert edges(split) == public | calls
    databases = set(re.findall(r"^  (\w+) --- \w+\[\(\1\)\]$", split, re.MULTILINE))
    assert databases == {service.name for service in SPLIT.services if service.has_database}


@pytest.mark.parametrize(("con", "cell"), cons(), ids=[con for con, _ in cons()])
def test_a_con_names_its_evidence_or_says_that_there_is_none(con: str, cell: str) -> None:
    assert cell.startswith("nothing") or EVIDENCE.search(cell), f"no evidence for: {con}"
    assert missing(cell) == []


def test_the_rows_that_hold_across_machines_are_rows() -> None:
    table = section("experiments.md", "Your run beside ours")
    rows = re.findall(r"^\|.+?\| (.+?) \|", table, re.MULTILINE)
    named = [found["row"] for cell in rows for found in EVIDENCE.finditer(cell) if found["row"]]
    assert len(named) > 15
    assert [each for cell in rows for each in missing(cell)] == []


def test_a_row_and_a_test_that_do_not_exist_are_found() -> None:
    cell = "[tax](experiments.md#tax): *Latency*, *Weight*; `test_that_never_was`"
    assert missing(cell) == ["Weight", "test_that_never_was"]

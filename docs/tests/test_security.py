"""Each claim of SECURITY.md names the tests that show it, and these tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "SECURITY.md"
LINK_OR_NAME = re.compile(r"\]\((?P<file>[^)]+\.py)\)|`(?P<name>[Tt]est\w+)`")


def rows(page: str) -> list[tuple[str, str]]:
    """The claims of the table, each with the cell that names its tests."""
    cells = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in page.splitlines()]
    return [(row[0], row[2]) for row in cells if len(row) == 3 and not set(row[0]) <= {"-", "|"}][1:]


def named_in(cell: str) -> list[tuple[str, str]]:
    """File and name of each test in a cell; a name belongs to the file named before it."""
    found, file = [], ""
    for match in LINK_OR_NAME.finditer(cell):
        file = match["file"] or file
        if match["name"]:
            found.append((file, match["name"]))
    return found


def missing(cell: str) -> list[str]:
    """The tests that the cell names but that do not exist."""
    return [
        f"{file}::{name}"
        for file, name in named_in(cell)
        if not (ROOT / file).is_file()
        or not re.search(rf"(def|class) {name}\b", (ROOT / file).read_text(encoding="utf-8"))
    ]


ROWS = rows(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("claim", "cell"), ROWS, ids=[claim for claim, _ in ROWS])
def test_a_claim_names_tests_that_exist(claim: str, cell: str) -> None:
    assert named_in(cell), f"no test for: {claim}"
    assert missing(cell) == []


def test_the_table_is_read_as_a_whole() -> None:
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(table) - 1 >= 15


def test_a_test_that_is_gone_is_found() -> None:
    cell = "[test_security.py](docs/tests/test_security.py): `test_that_never_was`, `test_a_test_that_is_gone_is_found`"
    assert missing(cell) == ["docs/tests/test_security.py::test_that_never_was"]
    assert missing("[gone.py](docs/tests/gone.py): `test_x`") == ["docs/tests/gone.py::test_x"]
    assert named_in("by reading the code") == []

"""Lines of code are lines that hold code."""

from pathlib import Path

import pytest

from loadtests.rig import codebase
from loadtests.rig.codebase import CodeError, _count, _lines, facts

SOURCE = '''"""What it is for.

At length.
"""

# why
import os  # used below

TEXT = """two
lines"""


def here() -> str:
    """A sentence."""
    return os.getcwd(
    )
'''


def test_comments_docstrings_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE)
    assert _count(tmp_path / "one.py") == 6


def test_tests_are_not_counted_with_what_they_test(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text(SOURCE)
    (tmp_path / "one.py").write_text(SOURCE)
    assert _lines(tmp_path) == 6


def test_tests_are_not_timed_where_their_packages_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codebase, "TEST_DEPENDENCY", "nothing_that_is_installed")
    assert facts({"lines"})["monolith"]["lines"] > 0
    with pytest.raises(CodeError, match="make dev"):
        facts({"test_seconds_per_unit"})

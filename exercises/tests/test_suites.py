"""A learner's pytest suite is run and its failures are readable; a shop can be seen through altered answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from exercises.checks import programs, suite
from exercises.checks.altering import altered
from exercises.checks.suite import Pass, Result, run_suite
from microservices.chaos.standin import StandIn

GREEN = "def test_green():\n    pass\n"
RED = "def test_red():\n    total = 6000\n    assert total == 5997, 'rounded'\n"


class Suites:
    """Stands in for the bench: runs a suite from a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def python(self, code: str, *, folder: Path | None, env: dict[str, str], timeout: float) -> Any:
        return programs.run(("-c", code), folder or self.folder, env, timeout)

    def run(self, text: str, *passes: Pass, **options: Any) -> list[Result]:
        tests = self.folder / "tests"
        tests.mkdir()
        (tests / "test_shop.py").write_text(text, encoding="utf-8")
        return run_suite(self, passes or (Pass("http://127.0.0.1:9"),), **options)  # type: ignore[arg-type]


@pytest.fixture
def suites(tmp_path: Path) -> Suites:
    return Suites(tmp_path)


def test_a_red_test_is_shown_with_its_line_and_its_whole_assertion(suites: Suites) -> None:
    (result,) = suites.run(GREEN + RED)
    assert result.passed == ["tests/test_shop.py::test_green"]
    assert str(result).startswith("tests/test_shop.py, line 5: `assert total == 5997, 'rounded'`: ")
    assert "rounded" in str(result)
    assert "6000 == 5997" in str(result)


def test_a_syntax_error_is_shown_with_its_line(suites: Suites) -> None:
    (result,) = suites.run("def test_green(:\n    pass\n")
    assert "SyntaxError" in str(result)
    assert "line 1" in str(result)


def test_a_missing_module_is_shown_by_its_name(suites: Suites) -> None:
    (result,) = suites.run("import no_such_thing\n" + GREEN)
    assert "tests/test_shop.py:1" in str(result)
    assert "No module named 'no_such_thing'" in str(result)


def test_a_mistake_in_conftest_is_shown_by_its_name(suites: Suites, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import no_such_thing\n", encoding="utf-8")
    (result,) = suites.run(GREEN)
    assert "No module named 'no_such_thing'" in str(result)


def test_a_test_that_hangs_is_named(suites: Suites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "TEST_SECONDS", 0.2)
    (result,) = suites.run("import threading\n\ndef test_hangs():\n    threading.Event().wait(60)\n" + GREEN)
    assert list(result.failed) == ["tests/test_shop.py::test_hangs"]
    assert "line 4: `threading.Event().wait(60)`: it had not ended after 0.2 s" in str(result)
    assert result.passed == ["tests/test_shop.py::test_green"]


def test_a_hidden_package_cannot_be_imported_by_its_name(suites: Suites) -> None:
    text = "import importlib\n\ndef test_inside():\n    importlib.import_module('sqlite3')\n"
    assert suites.run(text)[0].passed
    (result,) = run_suite(suites, [Pass("")], hidden=("sqlite3",))  # type: ignore[arg-type]
    assert "ModuleNotFoundError" in str(result)


def test_a_hunt_leaves_out_what_was_red_before_and_stops_at_the_first_red_test(suites: Suites) -> None:
    text = (
        "import os\n\n"
        "def test_url():\n    assert os.environ['SHOP_URL'] == 'sound'\n\n"
        "def test_url_again():\n    assert os.environ['SHOP_URL'] == 'sound'\n\n" + RED
    )
    sound, hunt = suites.run(text, Pass("sound"), Pass("broken", "url_again", hunts=True))
    assert list(sound.failed) == ["tests/test_shop.py::test_red"]
    assert list(hunt.failed) == ["tests/test_shop.py::test_url_again"]


def test_a_test_that_needs_the_one_before_is_red_in_the_opposite_order(suites: Suites) -> None:
    text = "SEEN = []\n\ndef test_one():\n    SEEN.append(1)\n\ndef test_two():\n    assert SEEN\n"
    there, back = suites.run(text, Pass(""), Pass("", "reversed"))
    assert not there.failed
    assert list(back.failed) == ["tests/test_shop.py::test_two"]


def test_an_altered_shop_passes_on_what_is_not_altered_and_changes_the_rest() -> None:
    with StandIn(
        lambda asked: (201, {"path": asked.path, "sent": asked.body.decode()}, {"X-Kept": "1"})
    ) as sound:
        shop: Any = SimpleNamespace(url=sound.url, admin=lambda: None)

        def alter(behind: Any, asked: Any) -> Any:
            reply = behind.send(asked)
            return (
                reply.with_json({**reply.json, "path": "/altered"}, 200) if asked.method == "PUT" else reply
            )

        with altered(shop, alter) as seen:
            same = requests.post(f"{seen.url}/a?b=c", data="text", timeout=5)
            other = requests.put(f"{seen.url}/a", timeout=5)
    assert (same.status_code, same.json()) == (201, {"path": "/a?b=c", "sent": "text"})
    assert same.headers["X-Kept"] == "1"
    assert (other.status_code, other.json()["path"]) == (200, "/altered")

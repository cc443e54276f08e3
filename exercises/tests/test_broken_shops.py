"""The broken shops of exercise 01: each edit still applies to the monolith, so that the check can be trusted."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

COURSE = Path(__file__).resolve().parents[1]
CHECK = COURSE / "01-pin-it-down" / "check.py"
NAMES = ("total", "price", "stock", "stranger", "twice")


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("broken_shops", CHECK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_these_are_all_broken_shops(check: ModuleType) -> None:
    assert set(check.MUTANTS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_edit_of_a_broken_shop_applies_and_its_files_compile(check: ModuleType, name: str) -> None:
    changed: dict[str, str] = {}
    for edit in check.MUTANTS[name].edits:
        text = changed.get(edit.file) or (COURSE.parent / edit.file).read_text(encoding="utf-8")
        assert text.count(edit.old) == 1, f"{edit.old!r} is not in {edit.file} exactly once"
        changed[edit.file] = text.replace(edit.old, edit.new)
    for file, text in changed.items():
        compile(text, file, "exec")

"""The bill's check reads the words of a report: a bound is no number, and a rounded figure is no invented one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from loadtests.report.estimates import AT_LEAST, AT_MOST, TIMES

CHECK = Path(__file__).resolve().parents[1] / "16-the-bill" / "check.py"


@pytest.fixture(scope="module")
def bill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("the_bill", CHECK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["the_bill"] = module  # its data classes look for it
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("shown", "number", "bound"),
    [
        (f"7.55 {TIMES}", 7.55, ""),
        (f"{AT_LEAST}41.38 {TIMES}", 41.38, "at_least"),
        (f"{AT_MOST}1,200.5 ms", 1200.5, "at_most"),
    ],
)
def test_a_number_is_told_from_a_bound(bill: ModuleType, shown: str, number: float, bound: str) -> None:
    known = bill.Known("price", "", shown, "", "supported", void=False)
    assert bill._number(known) == (number, bound)


def test_a_figure_may_be_rounded_to_three_digits_and_not_be_another_one(bill: ModuleType) -> None:
    assert bill._same(7.56, 7.5547)
    assert bill._same(1230, 1234.0)
    assert not bill._same(7.7, 7.5547)
    assert not bill._same("7.55", 7.5547)
    assert not bill._same(True, 1.0)

"""The end of the chain: the learner's service equals ours, and overlays' copies of the monolith are up to date."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path

import pytest

from exercises.course.course import Course
from exercises.errors import ExerciseError

COURSE = Path(__file__).resolve().parents[1]
SERVICES = {
    "microservices/recommendations/": "scale-the-hot-part",
    "microservices/catalog/": "split-the-table",
    "microservices/inventory/": "lost-transaction",
}
"""The services that were taken out, each with the exercise after which it is complete."""
COPIED = {
    "monolith/app.py": "0b707c80718b",
    "monolith/cart/__init__.py": "00d055071c20",
    "monolith/cart/models.py": "9b19b893dcdc",
    "monolith/cart/routes.py": "739ea68d1e7a",
    "monolith/cart/service.py": "7764f30d879a",
    "monolith/catalog/__init__.py": "6a78a02c8013",
    "monolith/chassis/observability.py": "ec9f4d16d1e9",
    "monolith/chassis/tracing.py": "222e534c2114",
    "monolith/inventory/__init__.py": "e22af4ee830a",
    "monolith/inventory/models.py": "781f2747338d",
    "monolith/inventory/routes.py": "02d97f3d8bde",
    "monolith/inventory/service.py": "4ff71221369a",
    "monolith/orders/__init__.py": "2998fe64e94e",
    "monolith/orders/checkout.py": "e43bb98c5a36",
    "monolith/orders/models.py": "560b63c065bb",
    "monolith/recommendations/__init__.py": "2767f6e14262",
    "monolith/recommendations/learning.py": "5ed75a32029f",
    "monolith/recommendations/routes.py": "db13c3084ae3",
    "monolith/seed.py": "d01fa6a25ddc",
    "monolith/storefront/buying.py": "6379aef2c16b",
    "monolith/storefront/routes.py": "0a649fca693d",
}
"""Files of which overlays have changed copies: the SHA-256 of the monolith's file when the copy was last updated."""


@pytest.fixture
def course():
    course = Course(COURSE)
    try:
        course.step("scale-the-hot-part")
    except ExerciseError:
        pytest.skip("the chain does not reach its end yet")
    return course


@pytest.mark.parametrize("service", SERVICES)
def test_in_the_end_the_learners_service_equals_ours_file_by_file(course, service):
    tree = course.state(course.step(SERVICES[service]), "solution")
    ours = {
        file.relative_to(course.repository).as_posix(): file.read_bytes()
        for file in (course.repository / service).rglob("*")
        if file.is_file() and not {"tests", "__pycache__"} & set(file.parts)
    }
    assert {
        relpath: file.read_bytes() for relpath, file in tree.items() if relpath.startswith(service)
    } == ours


def test_in_the_end_the_monolith_keeps_only_the_seam_of_recommendations(course):
    tree = course.state(course.step("scale-the-hot-part"), "solution")
    left = {relpath.rpartition("/")[2] for relpath in tree if relpath.startswith("monolith/recommendations/")}
    assert left == {"__init__.py", "interface.py", "remote.py", "switch.py"}


def test_after_10_the_monolith_keeps_only_a_client_of_the_catalog(course):
    tree = course.state(course.step("split-the-table"), "solution")
    left = {relpath.rpartition("/")[2] for relpath in tree if relpath.startswith("monolith/catalog/")}
    assert left == {"__init__.py", "client.py"}


def test_after_12_the_monolith_keeps_only_a_client_of_the_inventory(course):
    tree = course.state(course.step("lost-transaction"), "solution")
    left = {relpath.rpartition("/")[2] for relpath in tree if relpath.startswith("monolith/inventory/")}
    assert left == {"__init__.py", "client.py"}


def test_13_leaves_the_services_that_were_taken_out_as_they_are(course):
    before, after = (course.state(course.step(name), "solution") for name in ("12", "13"))
    for service in SERVICES:
        kept = {relpath: file for relpath, file in before.items() if relpath.startswith(service)}
        assert kept
        assert {relpath: file for relpath, file in after.items() if relpath.startswith(service)} == kept


def test_after_14_the_catalog_differs_from_ours_only_by_the_internal_api(course):
    """The exercise needs a contract that is not public; the file stays, and topology.py starts the service from it."""
    tree = course.state(course.step("change-the-contract"), "solution")
    catalog = {
        relpath: file for relpath, file in tree.items() if relpath.startswith("microservices/catalog/")
    }
    odd = {
        relpath
        for relpath, file in catalog.items()
        if not (course.repository / relpath).exists()
        or file.read_bytes() != (course.repository / relpath).read_bytes()
    }
    assert odd == {"microservices/catalog/internal.py"}


def test_the_seeding_of_exercise_07_is_the_monoliths_without_recommendations(course):
    tree = course.state(course.step("cut-over"), "solution")
    ours = (course.repository / "monolith/seed.py").read_text(encoding="utf-8").splitlines()
    theirs = tree["monolith/seed.py"].read_text(encoding="utf-8").splitlines()
    lines = list(difflib.ndiff(ours, theirs))
    assert [line[2:] for line in lines if line.startswith("+ ")] == ["from . import accounts"]
    assert len([line for line in lines if line.startswith("- ")]) <= 12


def test_files_of_which_overlays_have_changed_copies_are_unchanged_in_the_monolith(course):
    copied = {
        relpath
        for step in course.steps
        for which in ("start", "solution")
        for relpath, file in course.state(step, which).items()
        if relpath.startswith("monolith/") and file != course.repository / relpath
    }
    now = {
        relpath: hashlib.sha256((course.repository / relpath).read_bytes()).hexdigest()[:12]
        for relpath in sorted(copied)
        if (course.repository / relpath).exists()
    }
    changed = sorted(relpath for relpath in now if now[relpath] != COPIED.get(relpath))
    assert now == COPIED, (
        f"carry what changed in {', '.join(changed)} into the overlays, then note it here: {now}"
    )


def test_the_files_with_gaps_of_17_differ_from_the_finished_service_only_in_the_gaps(course):
    """They are copies: this test fails when the finished service changes and they do not."""
    start = course.state(course.step("choose-freely"), "start")
    with_gaps = {
        relpath: file
        for relpath, file in start.items()
        if relpath.startswith("microservices/recommendations_node/") and file != course.repository / relpath
    }
    assert len(with_gaps) == 6
    for relpath, file in with_gaps.items():
        ours = set((course.repository / relpath).read_text(encoding="utf-8").splitlines())
        own = [line for line in file.read_text(encoding="utf-8").splitlines() if line not in ours]
        assert 1 <= len(own) <= 3, f"{relpath}: {own}"

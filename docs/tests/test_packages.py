"""Imported packages are declared, declared ones are locked, and the demo installs only what it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from microservices.topology import SPLIT

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("monolith", "microservices", "loadtests", "exercises")
DEVELOPMENT = {"tests", "acceptance", "fuzz", "conftest.py", "docs"}
"""Parts of a path whose packages only `make dev` installs."""
PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<where>.+?))? \\$", re.MULTILINE)


def pins(name: str) -> dict[tuple[str, str], str]:
    """Package and platform marker -> version, of a lock file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {(found["name"], found["where"] or ""): found["version"] for found in PIN.finditer(text)}


def names(requirements: list[Any]) -> set[str]:
    """The packages that a list of requirements names, without those of included groups."""
    found = (re.match(r"[\w.-]+", each) for each in requirements if isinstance(each, str))
    return {match[0].lower() for match in found if match}


@cache
def declared() -> tuple[set[str], set[str]]:
    """The packages that pyproject.toml names: those to run and those for development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    return names(project["project"]["dependencies"]), names([*groups["test"], *groups["check"]])


def extra(name: str) -> set[str]:
    """The packages of one extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return names(project["project"]["optional-dependencies"][name])


def tracing() -> set[str]:
    """The packages of the extra that traces requests."""
    return extra("tracing")


def is_cluster(path: Path) -> bool:
    """Whether the file may import the client of Kubernetes."""
    return path == ROOT / "loadtests/rig/cluster/api.py"


def is_tracing(path: Path) -> bool:
    return path.name in {"tracing.py", "spans.py"} or "tracing" in path.relative_to(ROOT).parts


def is_development(path: Path) -> bool:
    return not DEVELOPMENT.isdisjoint(path.relative_to(ROOT).parts)


def files() -> list[Path]:
    """Every Python file of the project."""
    found = [ROOT / "conftest.py", *(ROOT / "docs").rglob("*.py")]
    return found + [path for part in PARTS for path in (ROOT / part).rglob("*.py")]


def imported(path: Path) -> Iterator[str]:
    """The top-level names that a file imports, including imports inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def undeclared(paths: list[Path], allowed: set[str]) -> set[str]:
    """`file imports package` for each import of a package that is not in `allowed`."""
    packages = packages_distributions()
    found = set()
    for path in paths:
        for name in set(imported(path)) - sys.stdlib_module_names - set(PARTS):
            owners = {owner.lower().replace("_", "-") for owner in packages.get(name, ())}
            if owners and owners.isdisjoint({each.replace("_", "-") for each in allowed}):
                found.add(f"{path} imports {name}")
    return found


def test_what_runs_imports_only_what_the_project_declares() -> None:
    running = [path for path in files() if not is_development(path)]
    plain = [path for path in running if not is_tracing(path) and not is_cluster(path)]
    assert undeclared(plain, declared()[0]) == set()
    traced = [path for path in running if is_tracing(path)]
    assert undeclared(traced, declared()[0] | tracing()) == set()
    in_clusters = [path for path in running if is_cluster(path)]
    assert undeclared(in_clusters, declared()[0] | extra("cluster")) == set()


def test_tests_import_only_what_is_declared() -> None:
    assert undeclared(files(), declared()[0] | tracing() | extra("cluster") | declared()[1]) == set()


def test_an_import_that_is_declared_nowhere_is_found(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text("import json\nimport flask.views\nfrom pluggy import HookimplMarker\n")
    assert undeclared([file], {"flask"}) == {f"{file} imports pluggy"}


def test_each_lock_has_the_packages_declared_for_it() -> None:
    run, development = ({name for name, _ in pins(f"requirements{kind}.lock")} for kind in ("", "-dev"))
    assert declared()[0] - run == set()
    assert declared()[1] - development == set()
    extras = {name for name, _ in pins("requirements-extras.lock")}
    assert (tracing() | extra("cluster")) - extras == set()


def test_the_demo_installs_nothing_that_only_development_needs() -> None:
    assert {name for name, _ in pins("requirements.lock")} & (
        declared()[1] | tracing() | extra("cluster")
    ) == set()


def test_both_locks_have_the_same_version_of_a_shared_package() -> None:
    run, development = pins("requirements.lock"), pins("requirements-dev.lock")
    shared = {name for name, _ in run} & {name for name, _ in development}
    assert len(shared) > 10
    for (name, where), version in development.items():
        if name in shared:
            assert version in {pinned for (other, _), pinned in run.items() if other == name}, (name, where)


IN_IMAGES = ("monolith", "microservices/seeding.py", "microservices/chassis")
NOT_IN_IMAGES = {"rich"}
"""`monolith routes` prints a table, which nobody does in a container."""


def in_images() -> list[Path]:
    """The code that the images have: see the Dockerfile."""
    services = [f"microservices/{service.name}" for service in SPLIT.services]
    roots = [ROOT / part for part in (*IN_IMAGES, *services)]
    found = [path for root in roots for path in (root.rglob("*.py") if root.is_dir() else [root])]
    return [path for path in found if not is_development(path) and not is_tracing(path)]


def test_the_images_have_what_their_code_imports_in_the_versions_of_the_demo() -> None:
    demo, runtime, gateway = (
        {(name, version) for (name, _), version in pins(f"requirements{kind}.lock").items()}
        for kind in ("", "-runtime", "-gateway")
    )
    assert runtime | gateway <= demo
    assert undeclared(in_images(), {name for name, _ in runtime} | NOT_IN_IMAGES) == set()


def test_the_images_have_nothing_that_only_the_lab_and_the_course_need() -> None:
    runtime = {name for name, _ in pins("requirements-runtime.lock")}
    assert not {"locust", "numpy", "matplotlib", "scipy", "pytest", "psutil"} & runtime


LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []

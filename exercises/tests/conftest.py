from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from exercises.course.course import Course
from exercises.tests import made_up
from exercises.workspaces.workspace import Workspace
from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.launcher.ports import Ports


@pytest.fixture(scope="session")
def course_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up course; tests must not write to it."""
    return made_up.copy_to(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def own_course(tmp_path: Path) -> Path:
    """A made-up course that the test may change."""
    return made_up.copy_to(tmp_path / "repository")


@pytest.fixture(scope="session")
def course(course_folder: Path) -> Course:
    return Course(course_folder)


@pytest.fixture
def workspace(course: Course, tmp_path: Path) -> Workspace:
    """A new workspace, at the first exercise."""
    workspace = Workspace(tmp_path / "workspace", course)
    workspace.create()
    return workspace


@pytest.fixture
def edit(workspace: Workspace) -> Callable[[str, str], None]:
    """Writes a file of the workspace, as a learner does."""

    def write(relpath: str, text: str) -> None:
        path = workspace.root / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No process that a test started is left after the tests."""
    yield
    homes = str(tmp_path_factory.getbasetemp())
    left = []
    for process in psutil.process_iter():
        try:
            env = process.environ()
        except (psutil.Error, OSError):
            continue
        if FLEET_ID_VARIABLE in env and env.get("SHOP_HOME", "").startswith(homes):
            left.append(process.pid)
    assert left == []


@pytest.fixture
def free_port() -> Iterator[int]:
    """A free port that no other test takes."""
    ports = Ports(1)
    yield ports.numbers[0]
    ports.release()

"""Code that a workspace does not have is missing there, although the course that checks it has it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from exercises.checks.bench import CheckBench
from exercises.checks.checking import NotYet
from exercises.checks.missing import missing_module
from exercises.checks.results import Outcome
from exercises.checks.runner import Choice, run_checks
from exercises.course.course import Course
from microservices.launcher import gateway, seed
from microservices.launcher.launch_plan import LaunchPlan
from microservices.sealing import COURSE, MEANT, PACKAGES, in_workspace, of_course
from microservices.topology import MONOLITH, WorkspaceError, load

ELSEWHERE = "monolith.chassis"
"""A module that the real monolith has and the made-up one does not."""
IMPORTS_IT = f'import {ELSEWHERE}\n\n\ndef hello(name):\n    return "hello"\n'
FILE = "import monolith; print(monolith.__file__)"
IMPORTS_IT_FOR = f'import sys\n\nif sys.argv[1] == "{{}}":\n    import {ELSEWHERE}\n'
SAYS_SO = (
    "there is no module monolith.chassis: neither monolith/chassis.py nor monolith/chassis/ exists; "
    "monolith/greeting.py, line 4, imports it"
)


def python(
    folder: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    env = in_workspace({**os.environ, **(env or {})}, folder)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture(params=["hello", "bye"], ids=["one process", "behind a gateway"])
def bench(course, tmp_path, request):
    course.write(course.state(course.step(request.param), "solution"), tmp_path / "workspace")
    bench = CheckBench(course, tmp_path / "workspace", tmp_path / "home", seed=3)
    yield bench
    bench.close()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_the_workspace_does_not_have_is_missing(tmp_path, name):
    ran = python(tmp_path, "-c", f"import {name}")
    assert ran.stderr.splitlines()[-1:] == [f"ModuleNotFoundError: No module named '{name}'"]


@pytest.mark.parametrize(
    "way",
    [
        "subprocess.run([sys.executable, '-c', 'import loadtests'], check=True)",
        "multiprocessing.get_context('spawn').Pool(1).apply(importlib.import_module, ('loadtests',))",
    ],
)
def test_it_is_missing_in_subprocesses_too(tmp_path, way):
    code = f"import importlib, multiprocessing, subprocess, sys\nif __name__ == '__main__':\n    {way}\n"
    (tmp_path / "parent.py").write_text(code)
    assert "No module named 'loadtests'" in python(tmp_path, "parent.py").stderr


def test_a_search_path_with_the_course_does_not_open_the_seal(tmp_path):
    ran = python(tmp_path, "-c", "import loadtests", env={"PYTHONPATH": str(COURSE)})
    assert "No module named 'loadtests'" in ran.stderr


def test_the_workspaces_own_packages_are_found_from_any_folder(tmp_path):
    (tmp_path / "monolith").mkdir()
    (tmp_path / "monolith/__init__.py").write_text("print('mine')")
    env = in_workspace(os.environ, tmp_path) | {"PYTHONSAFEPATH": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", "import monolith, flask"], env=env, capture_output=True, check=False
    )
    assert (ran.stdout, ran.stderr) == (b"mine\n", b"")


@pytest.mark.processes
@pytest.mark.parametrize("command", ["seed", "serve"])
def test_a_shop_that_needs_deleted_code_does_not_start_and_names_it(bench, command):
    (bench.workspace / "monolith/greeting.py").write_text(IMPORTS_IT_FOR.format(command))
    with pytest.raises(NotYet) as caught:
        bench.shop()
    assert (caught.value.got, caught.value.look) == (SAYS_SO, "monolith/greeting.py, line 4")


@pytest.mark.parametrize(
    "tool",
    [
        ("-m", "pytest", "-q", "-p", "no:cacheprovider", "mine.py"),
        ("-m", "locust", "-f", "mine.py", "--list"),
        ("-m", "monolith.cli", "seed"),
        ("mine.py",),
    ],
    ids=lambda tool: tool[1] if len(tool) > 1 else "script",
)
def test_the_learners_tools_do_not_find_deleted_code(bench, tool):
    (bench.workspace / "monolith/greeting.py").write_text(IMPORTS_IT)
    (bench.workspace / "mine.py").write_text("import monolith.greeting\n")
    ran = bench.run(*tool, env={"SHOP_DATABASE_URL": "sqlite:///mine.sqlite3"})
    assert ran.status != 0
    assert f"No module named '{ELSEWHERE}'" in ran.out + ran.err


def test_a_workspaces_seed_command_does_not_find_the_course(course, tmp_path):
    course.write(course.state(course.step("bye"), "solution"), tmp_path / "workspace")
    file = tmp_path / "workspace/topology.py"
    file.write_text(file.read_text() + '\nSEED = {"monolith": ("-c", "import loadtests")}\n')
    with pytest.raises(
        Exception, match="could not be filled: ModuleNotFoundError: No module named 'loadtests'"
    ):
        seed.seed_workspace(load(tmp_path / "workspace"), tmp_path / "data", home=tmp_path / "home")


@pytest.mark.parametrize("line", ["import loadtests", "from monolith.chassis import config"])
def test_a_topology_imports_nothing_of_the_course_but_what_is_meant(course, tmp_path, line):
    course.write(course.state(course.step("bye"), "solution"), tmp_path)
    assert load(tmp_path).topology.folder == tmp_path
    file = tmp_path / "topology.py"
    file.write_text(f"{line}\n{file.read_text()}")
    with pytest.raises(
        WorkspaceError, match=r"topology.py, line 1, imports .*; import only microservices.topology"
    ):
        load(tmp_path)


def test_everything_that_is_meant_has_a_reason():
    assert list(MEANT) == ["microservices.topology"]
    assert all(reason.endswith(".") for reason in MEANT.values())


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a workspace whose packages say so, as the working directory."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_data_set_is_made_by_the_courses_own_code(mine):
    sizes = {"SHOP_PRODUCTS": "40", "SHOP_CUSTOMERS": "10", "SHOP_ORDERS": "10", "SHOP_SEED": "1"}
    folder = seed._dataset(mine / "cache", {**os.environ, **sizes}, lambda _: None)
    assert list(folder.iterdir()) != []


def test_the_courses_shop_runs_the_courses_own_code_from_any_folder(mine):
    settings = {"port": None, "env": {}, "env_for": {}, "settings": gateway.Settings()}
    plan = LaunchPlan(MONOLITH, "f", folder=mine, home=mine, data_dir=mine, **settings)
    (python, *_), env = plan.command(plan.replica(MONOLITH.services[0], 1))
    plan.release()
    ran = subprocess.run([python, "-c", FILE], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(COURSE / "monolith/__init__.py")


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory):
    """A new environment with the course in editable mode and its .pth file; runs a program in a workspace."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    bin_, site = environment / "bin/python", next(environment.glob("lib/*/site-packages"))
    libraries = Path(sysconfig.get_path("purelib"))
    (editable,) = libraries.glob("__editable__*shop_twice*.pth")
    (site / "__editable__.pth").write_text(f"{libraries}\n{editable.read_text()}\n")
    subprocess.run([bin_, "-m", "microservices.sealing"], env=of_course(os.environ), check=True)
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "monolith").mkdir()
    (workspace / "monolith/__init__.py").touch()
    (workspace / "microservices.py").write_text("raise SystemExit('mine')\n")
    (workspace / "tests").mkdir()
    (workspace / ".exercises").mkdir()
    (workspace / ".exercises/state.json").touch()

    def run(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [bin_, *arguments], cwd=workspace / folder, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.parametrize("folder", ["", "tests"])
@pytest.mark.parametrize("arguments", [("-m", "monolith.payments"), ("-c", "import monolith.payments")])
def test_a_program_started_by_hand_in_a_workspace_is_sealed(by_hand, folder, arguments):
    ran = by_hand(folder, *arguments)
    assert (
        "No module named 'monolith.payments'" in ran.stderr
        or "No module named monolith.payments" in ran.stderr
    )


def test_a_program_started_by_hand_elsewhere_is_not_sealed(by_hand):
    assert by_hand("..", "-c", "import monolith.payments").returncode == 0


@pytest.mark.parametrize("options", [(), ("-X", "dev")])
def test_the_courses_own_commands_work_in_a_workspace(by_hand, options):
    ran = by_hand("", *options, "-m", "exercises", "dev", "verify", "--paper", "1")
    assert ran.stderr == ""
    assert ran.stdout.endswith((" promises are broken.\n", "Every promise is kept.\n"))


REAL = Course(COURSE / "exercises")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("exercise", "deleted", "check", "says"),
    [
        (
            "draw-the-seam",
            "monolith/payments",
            "answers-as-before",
            "neither monolith/payments.py nor monolith/payments/ exists; monolith/orders/checkout.py, line ",
        ),
        (
            "in-the-dark",
            "microservices",
            "service-answers-the-same",
            "there is no module microservices: neither microservices.py nor microservices/ exists",
        ),
    ],
)
def test_a_right_answer_without_one_of_its_folders_is_not_yet(tmp_path, exercise, deleted, check, says):
    step = REAL.step(exercise)
    tree = {
        relpath: file
        for relpath, file in REAL.state(step, "solution").items()
        if not relpath.startswith(f"{deleted}/")
    }
    REAL.write(tree, tmp_path / "workspace")
    choice = Choice(only=(check,))
    report = run_checks(REAL, step, tmp_path / "workspace", tmp_path / "home", choice=choice, seed=1)
    assert says in str(got(report.outcomes[0]))


def got(outcome: Outcome) -> str:
    assert outcome.failure is not None
    return outcome.failure.got


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "No module named 'reqests'",
            "there is no module reqests, neither in your workspace nor among the libraries",
        ),
        (
            "ImportError: cannot import name 'nix' from 'monolith' (/w/monolith/__init__.py)",
            "monolith has no nix: neither monolith/nix.py nor monolith/nix/ exists",
        ),
        ("ValueError: 3", None),
        ("No module named 'old'\nmore\nand\nmore\n", None),
    ],
)
def test_a_missing_module_is_read_from_the_end_of_a_log(tmp_path, text, says):
    found = missing_module(text, tmp_path)
    assert (found and found[0]) == says

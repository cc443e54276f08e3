"""Processes that are forked from one that has the libraries: for whoever starts them they are like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from exercises.authoring.mutation.warm import can_be_forked
from microservices.sealing import HERE, in_workspace

STARTS = """
import json, os, subprocess, sys
from exercises.authoring.mutation import warm
from microservices.sealing import HERE
given = json.loads(os.environ["GIVEN"])
with warm.forked(HERE):
    done = subprocess.run([sys.executable, *sys.argv[1:]], env=given, capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr, os.getpid()]))
"""
LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux gives a fork another parent"
)


@pytest.fixture
def starter(tmp_path):
    """Runs a program that forks; returns what it prints."""

    def run(program: str, *arguments: str) -> str:
        env = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**env, "GIVEN": json.dumps(in_workspace(env, tmp_path))},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


@pytest.fixture
def fork(starter):
    """Runs Python in a folder, forked; returns its exit status, its output, its errors and the starter's pid."""

    def run(*arguments: str) -> tuple[int, str, str, int]:
        return tuple(json.loads(starter(STARTS, *arguments)))

    return run


@LINUX
@pytest.mark.processes
def test_a_fork_is_a_child_of_the_one_who_started_it_and_has_the_libraries(fork):
    code = "import os, sys; print(os.getppid(), 'flask' in sys.modules, __name__, sys.argv)"
    status, out, _, starter = fork("-c", code, "more")
    assert (status, out) == (0, f"{starter} True __main__ ['-c', 'more']\n")


@LINUX
@pytest.mark.processes
def test_a_fork_imports_the_folders_code_and_none_of_the_course(fork, tmp_path):
    (tmp_path / "mine.py").write_text("import sys\nprint(sys.argv[1:])\nimport loadtests\n")
    for how in (("mine.py",), ("-m", "mine")):
        status, out, errors, _ = fork(*how, "more")
        assert (status, out) == (1, "['more']\n")
        assert errors.splitlines()[-1] == "ModuleNotFoundError: No module named 'loadtests'"


LEAVES_AN_ORPHAN = """
import ctypes, json, os, subprocess, sys, time
import psutil
from exercises.authoring.mutation import warm
from microservices.sealing import HERE
given = json.loads(os.environ["GIVEN"])
with warm.forked(HERE):
    subprocess.run([sys.executable, "-c", sys.argv[1]], env=given, check=True)
    me, deadline = psutil.Process(), time.monotonic() + 20
    while not any(each.status() == psutil.STATUS_ZOMBIE for each in me.children()):
        assert time.monotonic() < deadline, "no orphan was adopted"
        time.sleep(0.01)
adopts = ctypes.c_int(1)
ctypes.CDLL(None).prctl(37, ctypes.byref(adopts), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
print(me.children(), adopts.value)
"""


@LINUX
@pytest.mark.processes
def test_no_orphan_stays_after_the_block_and_none_is_adopted_any_more(starter):
    orphan = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])"
    assert starter(LEAVES_AN_ORPHAN, orphan) == "[] 0\n"


@LINUX
@pytest.mark.processes
def test_a_fork_ends_with_the_status_of_its_program(fork):
    assert fork("-c", "raise SystemExit(7)")[0] == 7
    assert fork("-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")[0] == -9


@LINUX
@pytest.mark.processes
def test_two_forks_draw_different_random_numbers(fork):
    code = "import random; print(random.random())"
    assert fork("-c", code)[1] != fork("-c", code)[1]


@pytest.mark.parametrize(
    ("arguments", "env", "can"),
    [
        (("-m", "monolith.cli"), {}, True),
        (("backfill.py",), {}, True),
        (("-m", "pytest"), {}, False),
        (("-X", "dev", "-c", "pass"), {}, False),
        (("-c", "pass"), {"PYTHONHASHSEED": "1"}, False),
        (("-c", "pass"), {"PYTHONPATH": "/elsewhere"}, False),
    ],
)
def test_only_plain_python_in_a_workspace_is_forked(tmp_path, arguments, env, can):
    assert can_be_forked([sys.executable, *arguments], in_workspace({}, tmp_path) | env, HERE) is can


def test_another_program_is_not_forked(tmp_path):
    assert not can_be_forked(["caddy", "run"], in_workspace({}, tmp_path), HERE)

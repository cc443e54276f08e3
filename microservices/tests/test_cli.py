"""The commands on the stub topology: their output and their exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile

import pytest

from microservices.launcher.ports import Ports
from microservices.tests.conftest import LAUNCH, PYTHON, call, is_gone, processes_of_fleet

pytestmark = pytest.mark.processes


@pytest.fixture
def port():
    ports = Ports(1)
    yield ports.numbers[0]
    ports.release()


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def command(topology, home):
    """The command line that runs a command on stubs."""
    return [PYTHON, LAUNCH, str(home), str(topology.files[0][1]), "command"]


@pytest.fixture
def run(command, home):
    """Run a command to its end."""

    def run(*arguments):
        env = {**os.environ, "SHOP_HOME": str(home), "COLUMNS": "120", "NO_COLOR": "1"}
        return subprocess.run(
            [*command, *arguments], env=env, capture_output=True, text=True, check=False, timeout=30
        )

    return run


@pytest.fixture
def up(command, home, port):
    """`up` in the background; `.output` has the lines that it printed until the shop was open."""
    started = []

    def up(*arguments):
        process = subprocess.Popen(
            [*command, "up", "--no-seed", "--port", str(port), *arguments],
            env={**os.environ, "SHOP_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        process.output = ""
        while "The shop is open" not in process.output:
            line = process.stdout.readline()
            assert line, process.output
            process.output += line
        return process

    yield up
    for process in started:
        process.terminate()  # not kill: a killed launcher leaves its fleet running
        process.communicate(timeout=20)


def test_up_status_scale_logs_and_down(up, run, port):
    process = up("--scale", "alpha=2")
    assert f"The shop is open at http://127.0.0.1:{port} after" in process.output
    status = run("status")
    assert status.returncode == 0, status.stderr
    assert re.search(r"alpha-2 +│ ready", status.stdout)
    assert re.search(r"5 in all .* [1-9]\d* │", status.stdout)

    scaled = run("scale", "alpha=1")
    assert (scaled.returncode, scaled.stdout) == (0, "alpha now has 1 replica: alpha-1.\n")
    assert call(port, "GET", "/api/alpha").status == 200
    assert run("logs").returncode == 0
    unknown = run("logs", "gamma")
    assert (unknown.returncode, "There is no log of gamma; the logs are" in unknown.stderr) == (1, True)
    second = run("up", "--no-seed")
    assert (second.returncode, "is already running; stop it first" in second.stderr) == (1, True)

    assert run("down").stdout == "The shop is closed.\n"
    assert process.wait(10) == 0
    assert process.stdout.read().endswith("The shop is closed.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_closes_the_shop_and_leaves_nothing(up, run, port, number):
    process = up()
    fleet = call(port, "GET", "/").json()["env"]["SHOP_FLEET"]
    assert processes_of_fleet(fleet)
    process.send_signal(number)
    assert process.wait(15) == 0
    assert processes_of_fleet(fleet) == []
    assert run("status").returncode == 1


def test_down_ends_what_a_killed_launcher_left_behind(up, run, home):
    killed = up()
    killed.kill()
    killed.wait()
    state = json.loads((home / "run" / "stub" / "state.json").read_text())
    pids = [entry["pid"] for entry in state["processes"]]
    status = run("status")
    assert (status.returncode, "was killed; end what it left behind" in status.stderr) == (1, True)
    assert re.match(r"Ended \d+ processes that a killed launcher had left behind", run("down").stdout)
    assert all(is_gone(pid) for pid in pids)


@pytest.mark.parametrize("arguments", [("status",), ("scale", "alpha=2"), ("down",)], ids=lambda a: a[0])
def test_a_command_without_a_running_shop_says_how_to_start_one(run, home, arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"No shop is running from {home}; start one with: microservices up\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("scale", "gamma=2"), "There is no service 'gamma'; the services are alpha, beta, accounts."),
        (("scale", "alpha=9"), "alpha cannot have 9 replicas; choose a number from 0 to 8, its slots."),
        (("scale", "alpha"), "'alpha' is not NAME=N, such as recommendations=4."),
        (("up", "--scale", "alpha=many"), "'alpha=many' is not NAME=N, such as recommendations=4."),
        (("up", "--port", "0"), "0 is not in the range"),
    ],
)
def test_a_wrong_argument_ends_with_status_2(run, arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())


def test_a_taken_port_is_an_error_that_names_it(up, run, port, home):
    up()
    done = subprocess.run(
        [PYTHON, "-m", "microservices.cli", "up", "--no-seed", "--port", str(port)],
        env={**os.environ, "SHOP_HOME": str(home / "other")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"Port {port} is taken; stop what listens there, or choose another with --port.\n",
    )


def test_routes_need_nothing_running(run):
    done = run("routes")
    assert done.returncode == 0
    assert re.search(r"/api/alpha +│ alpha +│ beta", done.stdout)


class TestInADeepFolder:
    @pytest.fixture
    def home(self):
        # The path of a Unix socket may have about a hundred bytes; this home alone has more.
        with tempfile.TemporaryDirectory(prefix="deep-" + "x" * 120) as folder:
            yield folder

    def test_the_commands_still_reach_the_launcher(self, up, run):
        up()
        assert run("status").returncode == 0
        assert run("down").returncode == 0

"""At its start a launcher ends the processes with the old fleet's id, but no process that only has an old pid."""

from __future__ import annotations

import os
import subprocess

import psutil
import pytest

from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.launcher.process import created
from microservices.launcher.state import Entry, State, end_leftovers, read
from microservices.tests.conftest import PYTHON, is_gone

FLEET = "0123456789abcdef"
SLEEP = (PYTHON, "-c", "import time; print('up', flush=True); time.sleep(60)")


@pytest.fixture
def sleeper():
    """Start processes with these additions to their environment; they are ended after the test."""
    started = []

    def sleeper(**env):
        process = subprocess.Popen(SLEEP, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)
        started.append(process)
        process.stdout.readline()
        return process

    yield sleeper
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def written(tmp_path, *entries):
    return State(tmp_path / "state.json", FLEET, 1, 0.0, entries={entry.name: entry for entry in entries})


@pytest.mark.processes
def test_a_process_of_the_fleet_is_ended_even_if_its_pid_was_never_written(tmp_path, sleeper):
    process = sleeper(**{FLEET_ID_VARIABLE: FLEET})
    assert end_leftovers(written(tmp_path)) == [process.pid]
    assert is_gone(process.pid)


@pytest.mark.processes
def test_another_process_with_a_written_pid_is_left_alone(tmp_path, sleeper):
    other = sleeper()
    entry = Entry("alpha-1", other.pid, created(other.pid), 20000)
    assert end_leftovers(written(tmp_path, entry)) == []
    assert other.poll() is None


@pytest.mark.processes
def test_a_process_of_another_fleet_is_left_alone(tmp_path, sleeper):
    other = sleeper(**{FLEET_ID_VARIABLE: "fedcba9876543210"})
    assert end_leftovers(written(tmp_path, Entry("alpha-1", other.pid, created(other.pid), 20000))) == []
    assert other.poll() is None


@pytest.mark.processes
@pytest.mark.parametrize(("seconds_off", "ended"), [(0.0, True), (60.0, False)])
def test_where_environments_cannot_be_read_the_time_of_creation_decides(
    tmp_path, sleeper, monkeypatch, seconds_off, ended
):
    process = sleeper()
    monkeypatch.setattr(psutil.Process, "environ", _refuse)
    entry = Entry("alpha-1", process.pid, created(process.pid) - seconds_off, 20000)
    assert end_leftovers(written(tmp_path, entry)) == ([process.pid] if ended else [])


def _refuse(process):
    raise psutil.AccessDenied(process.pid)


def test_a_saved_state_is_read_back(tmp_path):
    state = written(tmp_path, Entry("alpha-1", 12, 34.5, 20000))
    state.url, state.control = "http://127.0.0.1:20000", "/a/socket"
    state.save()
    assert read(state.path) == state


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"processes": 1}'])
def test_an_invalid_state_file_counts_as_none(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    assert read(tmp_path / "state.json") is None

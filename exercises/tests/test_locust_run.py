"""Locust runs without the user's own settings, and a load shape is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exercises.checks.locust_run import HAS_SHAPE

pytestmark = pytest.mark.processes

USER = """
from locust import LoadTestShape, User, task

class Visitor(User):
    @task
    def visit(self):
        print("a visit", flush=True)
        self.environment.runner.quit()
"""
SHAPE = """
class Spike(LoadTestShape):
    def tick(self):
        return 1, 1
"""
CONFIG = "master = true\nexpect-workers = 1\nusers = 7\n"


def locust(folder: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "visitors.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "exercises.checks.locust_run", "-f", "visitors.py"]
    return subprocess.run(
        [*command, "--headless", "-u", "1", "-r", "1", "-t", "20s", "--host", "http://127.0.0.1:9"],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("file", ["locust.conf", ".locust.conf", "pyproject.toml"])
def test_files_with_the_users_own_settings_are_not_read(tmp_path: Path, file: str) -> None:
    text = "[tool.locust]\nmaster = true\nexpect-workers = 1\n" if file.endswith("toml") else CONFIG
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert "a visit" in locust(tmp_path, USER).stdout


def test_variables_with_the_users_own_settings_are_not_read(tmp_path: Path) -> None:
    settings = {"LOCUST_MODE_MASTER": "true", "LOCUST_EXPECT_WORKERS": "1", "LOCUST_USER_CLASSES": "Nobody"}
    assert "a visit" in locust(tmp_path, USER, **settings).stdout


def test_a_load_shape_ends_the_run_at_once_and_is_named(tmp_path: Path) -> None:
    done = locust(tmp_path, USER + SHAPE)
    assert done.returncode == HAS_SHAPE
    assert done.stderr.strip().splitlines()[-1] == "Spike"
    assert "a visit" not in done.stdout

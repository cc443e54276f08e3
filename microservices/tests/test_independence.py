"""Each service is independent: it starts in an empty folder with nothing but the chassis beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from microservices.launcher import readiness
from microservices.launcher.ports import Ports
from microservices.tests.conftest import wait_until
from microservices.topology import SPLIT, Service

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.processes
@pytest.mark.parametrize("service", SPLIT.services, ids=lambda service: service.name)
def test_a_service_starts_with_only_the_chassis_beside_it(service: Service, tmp_path: Path):
    package = tmp_path / "microservices"
    for folder in ("chassis", service.name):
        shutil.copytree(REPOSITORY / folder, package / folder, ignore=shutil.ignore_patterns("tests"))
    (package / "__init__.py").touch()
    ports = Ports(1)
    (port,) = ports.numbers
    env = {
        "PATH": os.environ["PATH"],
        "SHOP_HOME": str(tmp_path),
        "SHOP_PORT": str(port),
        **{f"SHOP_{name.upper()}_URL": "http://127.0.0.1:9" for name in SPLIT.addresses_for(service)},
    }
    command = [sys.executable, *service.command]
    with subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True) as process:
        try:
            wait_until(lambda: readiness.status(port) == 200)
        finally:
            process.terminate()
            process.wait(timeout=10)
            ports.release()
    assert process.returncode == 0

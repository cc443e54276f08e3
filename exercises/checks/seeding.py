"""The data of the shops in one run of the checks: random and small, made once, then copied.

The monolith's own `seed` command makes a database. It is copied for all folders in which the files that decide about
the data are the same, so the oracle and several broken shops need only one seeding.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from microservices.launcher import LauncherError, sqlite_url
from microservices.launcher.environment import inherited
from microservices.launcher.seed import seed_workspace
from microservices.sealing import in_workspace
from microservices.topology import Workspace

DATA_SIZES = {"SHOP_PRODUCTS": "160", "SHOP_CUSTOMERS": "60", "SHOP_ORDERS": "800"}
SEED_FILES = ("models.py", "dataset.py", "seed.py", "learning.py", "database.py", "config.py", "keys.py")
MAX_CACHED = 4
LAST_LINES = 15


class Seeds:
    """One data set, and the databases that were made from it."""

    def __init__(self, home: Path, seed: int | None = None, sizes: Mapping[str, str] | None = None) -> None:
        self.number = random.SystemRandom().randrange(1, 1_000_000) if seed is None else seed
        self.env = {**DATA_SIZES, **(sizes or {}), "SHOP_SEED": str(self.number)}
        self._home = home
        self._cache = home / "cache"
        self._lock = threading.Lock()

    def monolith(self, folder: Path, target: Path, env: Mapping[str, str]) -> None:
        """Make a seeded database for the monolith in `folder`; LauncherError when its seed command fails."""
        env = {**self.env, **env}
        template = self._cache / f"monolith-{_fingerprint(folder, env)}.sqlite3"
        with self._lock:
            if not template.exists():
                _make(folder, template, self._home, env)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, target)

    def workspace(self, workspace: Workspace, data: Path, env: Mapping[str, str]) -> None:
        """Make the seeded databases of a workspace with a topology."""
        with self._lock:
            seed_workspace(workspace, data, home=self._home, env={**self.env, **env})

    def prune_cache(self) -> None:
        """Remove all but the newest MAX_CACHED entries of each kind."""
        kept = sorted(self._cache.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for kind in ("monolith-", "dataset-"):
            for old in [path for path in kept if path.name.startswith(kind)][MAX_CACHED:]:
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.unlink(missing_ok=True)


def _make(folder: Path, template: Path, home: Path, env: Mapping[str, str]) -> None:
    template.parent.mkdir(parents=True, exist_ok=True)
    draft = template.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    own = {"SHOP_HOME": str(home / "seed"), "SHOP_DATABASE_URL": sqlite_url(draft)}
    done = subprocess.run(
        [sys.executable, "-m", "monolith.cli", "seed"],
        cwd=folder,
        env=in_workspace({**inherited(os.environ), **env, **own}, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(home / "seed", ignore_errors=True)  # the seed command's own cache, a copy of the same
    if done.returncode or not draft.exists():
        lines = (done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:]
        raise LauncherError("\n".join([f"`python -m monolith.cli seed` failed in {folder}:", *lines]))
    draft.replace(template)


def _fingerprint(folder: Path, env: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(env.items())).encode())
    for file in sorted((folder / "monolith").rglob("*.py")):
        if file.name in SEED_FILES:
            digest.update(os.fsencode(file.relative_to(folder)) + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]

"""What the page copied in from others is unchanged, and what a browser loads is small."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from exercises import page

STATIC = Path(page.__file__).with_name("static")
VENDOR = STATIC / "vendor"
MAX_BYTES = 150_000


def test_every_copied_file_is_what_the_list_says_with_version_and_licence():
    packages = json.loads((VENDOR / "vendor.json").read_text())["packages"]
    listed = {"vendor.json"}
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert package["licence"] == "MIT"
        for name, checksum in package["files"].items():
            content = (VENDOR / name).read_bytes()
            assert checksum == f"sha256-{hashlib.sha256(content).hexdigest()}", name
            listed.add(name)
        assert any(
            f"v{package['version']}".encode() in (VENDOR / name).read_bytes() for name in package["files"]
        )
        assert any("LICENSE" in name for name in package["files"])
    assert {path.name for path in VENDOR.iterdir()} == listed


def test_all_assets_together_are_small():
    assets = [path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".svg"}]
    assert sum(path.stat().st_size for path in assets) <= MAX_BYTES

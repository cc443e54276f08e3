"""What `kubectl kustomize` does with our folders, in Python, so that the tests need no kubectl.

It knows only the fields that our kustomizations use and refuses others. Where kubectl is installed, a test compares the
two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
KNOWN = {"apiVersion", "kind", "namespace", "resources", "patches", "configMapGenerator", "generatorOptions"}


def build(folder: Path) -> list[Object]:
    """All objects of a folder, with the folders that it stands on."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(kustomization) <= KNOWN, set(kustomization) - KNOWN
    objects: list[Object] = []
    for resource in kustomization["resources"]:
        path = folder / resource
        objects += build(path) if path.is_dir() else documents(path)
    for generator in kustomization.get("configMapGenerator", []):
        objects.append(_config_map(folder, generator))
    for patch in kustomization.get("patches", []):
        _apply(patch, objects)
    for each in objects:
        if "namespace" in kustomization and each["kind"] != "Namespace":
            each["metadata"]["namespace"] = kustomization["namespace"]
    return objects


def documents(file: Path) -> list[Object]:
    return [found for found in yaml.safe_load_all(file.read_text(encoding="utf-8")) if found]


def _config_map(folder: Path, generator: Object) -> Object:
    data = {name: (folder / name).read_text(encoding="utf-8") for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def _apply(patch: Object, objects: list[Object]) -> None:
    """A JSON patch of `add` operations, on the one object that the target names."""
    (found,) = (
        each
        for each in objects
        if each["kind"] == patch["target"]["kind"] and each["metadata"]["name"] == patch["target"]["name"]
    )
    for operation in yaml.safe_load(patch["patch"]):
        assert operation["op"] == "add"
        *parents, last = operation["path"].strip("/").split("/")
        place: Any = found
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        place[last] = operation["value"]

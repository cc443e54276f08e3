"""The topology of one trial: as many slots as the trial needs, and the gateway's rule for one path of a monolith.

The gateway probes every slot that it knows, whether a replica is there or not. Sixty-four slots, of which eight were in
use, took 7 % of the split's CPU in `tax`, and the monolith has an eighth of them. So a trial declares no slot that it
does not use.
"""

from dataclasses import replace

from loadtests.planning.trials import Trial
from loadtests.rig.following import most_replicas
from microservices.topology import Service, Topology

REPLACING = {"restart", "add"}
"""Actions that start one replica before an old one ends."""


def shaped(topology: Topology, trial: Trial) -> Topology:
    """The topology that the trial runs on."""
    routed = with_route(topology, trial.route) if trial.route else topology
    extra = {
        phase.action.service for phase in trial.phases if phase.action and phase.action.what in REPLACING
    }
    most = most_replicas(trial)
    services = tuple(
        replace(
            each, slots=max(trial.replicas.get(each.name, 1) + (each.name in extra), most.get(each.name, 1))
        )
        for each in routed.services
    )
    return replace(routed, services=services)


def with_route(topology: Topology, route: dict[str, str | int]) -> Topology:
    """A shop whose gateway sends one path to a second pool of the same program, or limits it."""
    whole = _whole(topology)
    path = str(route["path"])
    if "at_most" in route:
        return _with(topology, replace(whole, limits=(*whole.limits, (path, int(route["at_most"])))))
    pool = replace(whole, name=str(route["pool"]), paths=(path,), database_of=whole.name)
    # Beside a service that owns a part of the API, the rest of it needs an owner too.
    return _with(topology, replace(whole, paths=(*whole.paths, "/api")), pool)


def route_refusal(topology: Topology) -> str | None:
    """Why no path of this shop can be routed apart; None if it can."""
    if topology.caddyfile is not None:
        return "this one has a gateway configuration of its own"
    if len(topology.services) > 1:
        return "this one is no longer a single program"
    return None


def _whole(topology: Topology) -> Service:
    """The service that has every path."""
    return next(service for service in topology.services if "/" in service.paths)


def _with(topology: Topology, *changed: Service) -> Topology:
    """The topology with these services in the place of those of the same name, or added."""
    names = {each.name for each in changed}
    return replace(
        topology, services=(*(each for each in topology.services if each.name not in names), *changed)
    )

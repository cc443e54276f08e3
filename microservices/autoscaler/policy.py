"""Reads `autoscaling/v2` HorizontalPodAutoscaler files. What the launcher cannot do is refused, never ignored.

The file may hold several YAML documents. A Deployment among them gives the CPU request of its pods, as it does in a
cluster. Other kinds are refused, because somebody who writes them expects them to have an effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from microservices.launcher.errors import LauncherError

Json = Mapping[str, Any]
TOLERANCE = 0.1
"""The controller's default: a ratio of usage to target this close to 1 changes nothing."""
DOWN_WINDOW_SECONDS = 300
"""The controller's default for the stabilization of a scale-down."""
DEFAULT_UTILIZATION = 80
"""Percent; what the API assumes for a file without metrics."""
Select = Literal["Max", "Min", "Disabled"]


class PolicyError(LauncherError):
    """A policy file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many replicas may come or go within a period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class Rules:
    """`behavior.scaleUp` or `behavior.scaleDown`."""

    window_seconds: int
    limits: tuple[Limit, ...]
    select: Select = "Max"
    tolerance: float = TOLERANCE


DEFAULT_UP = Rules(0, (Limit("Pods", 4, 15), Limit("Percent", 100, 15)))
DEFAULT_DOWN = Rules(DOWN_WINDOW_SECONDS, (Limit("Percent", 100, 15),))


@dataclass(frozen=True, slots=True)
class Behavior:
    """Both directions."""

    up: Rules = DEFAULT_UP
    down: Rules = DEFAULT_DOWN


@dataclass(frozen=True, slots=True)
class Policy:
    """What one HorizontalPodAutoscaler asks for. Exactly one of `utilization` and `average_value` is set."""

    target: str
    """The Deployment's name, which is the service's name in the topology."""
    minimum: int
    maximum: int
    utilization: int | None = None
    """Percent of the CPU request."""
    average_value: int | None = None
    """Millicores per replica."""
    behavior: Behavior | None = None
    """None: the controller's older limits (twice the replicas or 4, five minutes before a scale-down)."""
    request: int | None = None
    """Millicores that a replica asks for, if the file says it; needed for `utilization`."""


def read_policies(file: Path) -> list[Policy]:
    """The policies in `file`, in its order; raises PolicyError."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PolicyError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{file} is not YAML ({error}); correct it.") from None
    return parse_policies(text, str(file))


def parse_policies(text: str, file: str) -> list[Policy]:
    """The policies in a YAML text, in its order; `file` is its name in messages. Raises PolicyError."""
    try:
        documents = [found for found in yaml.safe_load_all(text) if found]
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise PolicyError(f"{file} is not YAML ({problem}); correct it.") from None
    try:
        return _policies([_Node(document, "the file") for document in documents])
    except PolicyError as error:
        raise PolicyError(f"{file}: {error}") from None


def millicores(text: object) -> int:
    """A CPU quantity such as `250m`, `0.5` or 2, in millicores; raises ValueError."""
    written = str(text)
    if written.endswith("m"):
        return int(written[:-1])
    return round(float(written) * 1000)


class _Node:
    """A mapping in the file, read key by key. `done` refuses the keys that nobody asked for."""

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, Mapping):
            raise PolicyError(f"{where} is not a mapping of keys to values.")
        self._left = dict(content)
        self.where = where

    def take(self, key: str, default: object = ...) -> Any:
        if key not in self._left and default is ...:
            raise PolicyError(f"{self.where} has no {key}.")
        return self._left.pop(key, default)

    def node(self, key: str) -> _Node:
        return _Node(self.take(key), f"{self.where}.{key}" if self.where != "the file" else key)

    def optional(self, key: str) -> _Node | None:
        return self.node(key) if self._left.get(key) is not None else self.take(key, None)

    def nodes(self, key: str) -> list[_Node] | None:
        found = self.take(key, None)
        if found is None:
            return None
        if not isinstance(found, list):
            raise PolicyError(f"{self.where}.{key} is not a list.")
        return [_Node(item, f"{self.where}.{key}[{index}]") for index, item in enumerate(found)]

    def number(self, key: str, lowest: int, highest: int, default: object = ...) -> Any:
        value = self.take(key, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise PolicyError(
                f"{self.where}.{key} is {value!r}; write a whole number from {lowest} to {highest}."
            )
        return value

    def one_of(self, key: str, choices: tuple[str, ...], default: object = ...) -> Any:
        value = self.take(key, default)
        if value not in choices:
            raise PolicyError(f"{self.where}.{key} is {value!r}; here it can be {' or '.join(choices)}.")
        return value

    def done(self) -> None:
        if self._left:
            names = ", ".join(sorted(map(str, self._left)))
            raise PolicyError(f"{self.where} asks for {names}, which this launcher cannot do; remove it.")


def _policies(documents: list[_Node]) -> list[Policy]:
    requests: dict[str, int] = {}
    found: list[Policy] = []
    for document in documents:
        kind = document.one_of("kind", ("HorizontalPodAutoscaler", "Deployment"))
        if kind == "Deployment":
            name, request = _request(document)
            if request is not None:
                requests[name] = request
        else:
            found.append(_policy(document))
    if not found:
        raise PolicyError("it has no HorizontalPodAutoscaler.")
    if len({policy.target for policy in found}) < len(found):
        raise PolicyError("two policies scale the same Deployment; keep one.")
    return [replace(policy, request=requests.get(policy.target)) for policy in found]


def _request(document: _Node) -> tuple[str, int | None]:
    """The name of a Deployment and the CPU request of its pods, in millicores; everything else is left alone."""
    name = document.node("metadata").take("name")
    containers = document.node("spec").node("template").node("spec").nodes("containers") or []
    total = 0
    for container in containers:
        resources = container.take("resources", {})
        asked = _Node(resources, f"{container.where}.resources").take("requests", {}).get("cpu")
        if asked is None:
            return name, None
        try:
            total += millicores(asked)
        except ValueError:
            raise PolicyError(
                f"{container.where} requests {asked!r} of CPU; write it as 250m or 0.25."
            ) from None
    return name, total or None


def _policy(document: _Node) -> Policy:
    document.one_of("apiVersion", ("autoscaling/v2",))
    document.take("metadata")
    document.take("status", None)
    spec = document.node("spec")
    document.done()
    target = spec.node("scaleTargetRef")
    target.one_of("kind", ("Deployment",))
    target.one_of("apiVersion", ("apps/v1",), "apps/v1")
    name = target.take("name")
    target.done()
    maximum = spec.number("maxReplicas", 1, 1_000)
    minimum = spec.number("minReplicas", 1, maximum, 1)
    utilization, average_value = _metric(spec.nodes("metrics"))
    behavior = spec.optional("behavior")
    spec.done()
    return Policy(
        name, minimum, maximum, utilization, average_value, None if behavior is None else _behavior(behavior)
    )


def _metric(metrics: list[_Node] | None) -> tuple[int | None, int | None]:
    """Utilization in percent, or an average in millicores."""
    if not metrics:
        return DEFAULT_UTILIZATION, None
    if len(metrics) > 1:
        raise PolicyError(
            "spec.metrics has several metrics; this launcher measures CPU only, so keep that one."
        )
    metric = metrics[0]
    metric.one_of("type", ("Resource",))
    resource = metric.node("resource")
    metric.done()
    resource.one_of("name", ("cpu",))
    target = resource.node("target")
    resource.done()
    wanted: tuple[int | None, int | None]
    if target.one_of("type", ("Utilization", "AverageValue")) == "Utilization":
        wanted = target.number("averageUtilization", 1, 10_000), None
    else:
        value = target.take("averageValue")
        try:
            wanted = None, millicores(value)
        except ValueError:
            raise PolicyError(
                f"{target.where}.averageValue is {value!r}; write it as 250m or 0.25."
            ) from None
    target.done()
    return wanted


def _behavior(node: _Node) -> Behavior:
    up, down = node.optional("scaleUp"), node.optional("scaleDown")
    node.done()
    return Behavior(
        DEFAULT_UP if up is None else _rules(up, DEFAULT_UP),
        DEFAULT_DOWN if down is None else _rules(down, DEFAULT_DOWN),
    )


def _rules(node: _Node, default: Rules) -> Rules:
    limits = node.nodes("policies")
    tolerance = node.take("tolerance", default.tolerance)
    rules = Rules(
        node.number("stabilizationWindowSeconds", 0, 3600, default.window_seconds),
        default.limits if limits is None else tuple(_limit(limit) for limit in limits),
        node.one_of("selectPolicy", ("Max", "Min", "Disabled"), default.select),
        _tolerance(tolerance, node.where),
    )
    node.done()
    if not rules.limits:
        raise PolicyError(f"{node.where}.policies is empty; leave it out for the defaults.")
    return rules


def _limit(node: _Node) -> Limit:
    limit = Limit(
        node.one_of("type", ("Pods", "Percent")),
        node.number("value", 1, 1_000_000),
        node.number("periodSeconds", 1, 1800),
    )
    node.done()
    return limit


def _tolerance(value: object, where: str) -> float:
    try:
        found = millicores(value) / 1000  # the same notation: 0.05 or 50m
    except ValueError:
        found = -1.0
    if found < 0:
        raise PolicyError(f"{where}.tolerance is {value!r}; write it as 0.05 or 50m.")
    return found

"""Which connections a set of NetworkPolicies lets through, by the rules of the Kubernetes API.

A pod that no policy of a direction selects is open in it. Otherwise one of these policies has to allow the connection,
at both ends.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
Labels = dict[str, str]


def is_open(policies: list[Object], source: Labels, target: Labels, port: int) -> bool:
    """Whether a pod with the labels `source` can connect to one with the labels `target`, in the same namespace."""
    return _lets_out(policies, source, target, port) and _lets_in(policies, target, source, port)


def lets_anybody_in(policies: list[Object], target: Labels, port: int) -> bool:
    """Whether a pod accepts connections from outside of the cluster."""
    return _lets_in(policies, target, None, port)


def _lets_out(policies: list[Object], pod: Labels, peer: Labels, port: int) -> bool:
    return _allowed(policies, pod, "Egress", "egress", "to", peer, port)


def _lets_in(policies: list[Object], pod: Labels, peer: Labels | None, port: int) -> bool:
    return _allowed(policies, pod, "Ingress", "ingress", "from", peer, port)


def _allowed(
    policies: list[Object],
    pod: Labels,
    direction: str,
    rules: str,
    peers: str,
    peer: Labels | None,
    port: int,
) -> bool:
    applying = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"] and _selects(policy["spec"]["podSelector"], pod)
    ]
    return not applying or any(
        _rule_allows(rule, peers, peer, port) for spec in applying for rule in spec.get(rules, [])
    )


def _rule_allows(rule: Object, peers: str, peer: Labels | None, port: int) -> bool:
    ports = [each["port"] for each in rule.get("ports", [])]
    if ports and port not in ports:
        return False
    # A selector of namespaces means pods elsewhere.
    return peers not in rule or any(
        peer is not None and "namespaceSelector" not in each and _selects(each["podSelector"], peer)
        for each in rule[peers]
    )


def _selects(selector: Object, labels: Labels) -> bool:
    assert set(selector) <= {"matchLabels"}
    wanted: Labels = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()

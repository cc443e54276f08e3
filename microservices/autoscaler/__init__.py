"""Replicas that follow demand: a control loop that reads a Kubernetes HorizontalPodAutoscaler file."""

from microservices.autoscaler.loop import Autoscaler
from microservices.autoscaler.policy import Policy, PolicyError, read_policies

__all__ = ["Autoscaler", "Policy", "PolicyError", "read_policies"]

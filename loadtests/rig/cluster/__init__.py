"""A shop in a Kubernetes cluster: its replicas are set, and its CPU and memory read, through the cluster's API."""

from loadtests.rig.cluster.shop import ClusterShop
from loadtests.rig.cluster.target import PREFIX, ClusterTarget, cluster_target

__all__ = ["PREFIX", "ClusterShop", "ClusterTarget", "cluster_target"]

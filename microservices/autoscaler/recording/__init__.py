"""Records what Kubernetes' own autoscaler decides, so that ours can be compared with it; see `__main__`."""

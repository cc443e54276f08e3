"""Makes from the topology the files that a container engine and a Kubernetes cluster run the shops with."""

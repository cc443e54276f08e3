"""What things cost: CPU and requests per second of each endpoint, and the quality of the lab's instruments."""

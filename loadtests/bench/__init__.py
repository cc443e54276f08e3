"""What things cost: CPU and requests per second of each endpoint, and what the lab's instruments are worth."""

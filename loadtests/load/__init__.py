"""The simulated customers: what a visit does, when visits start, and the process that sends their requests."""

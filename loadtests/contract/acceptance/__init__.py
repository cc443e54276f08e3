"""The acceptance suite: the public behaviour of a shop, tested only over HTTP.

It runs unchanged against the monolith, the microservices and every state in between. The shop may be in use: the suite
registers its own customers, and restores the prices and stock that it changes.
"""

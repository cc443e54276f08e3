"""A learner's workspace: created, moved to the next exercise, compared, copied before changes, and repaired.

May know the course; it runs no shop and no check.
"""

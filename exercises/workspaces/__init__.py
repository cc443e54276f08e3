"""A learner's workspace: begun, moved on, compared, copied before anything overwrites it, and repaired.

May know the course; it runs no shop and no check.
"""

"""For authors of exercises: create one, edit its states, and verify everything that the course promises.

May know the course and the checks, and nothing about a learner's workspace.
"""

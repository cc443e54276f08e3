"""For those who write exercises: begin one, edit its states, and try everything that the course promises.

May know the course, the checks and nothing of a learner's workspace.
"""

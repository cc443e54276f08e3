"""What a check.py is written with, and what runs it: the learner's shop as processes, visitors, faults, results.

May know the course. It gets the folder of a shop, and knows nothing about a workspace's history.
"""

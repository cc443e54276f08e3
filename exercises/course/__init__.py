"""The course, read from its files: exercises in order, their states, hints and timetables.

Knows neither a workspace nor a check, and starts no shop.
"""

"""The course as its files say it: exercises in order, their states, hints and timetables.

Knows neither a workspace nor a check, and starts no shop.
"""

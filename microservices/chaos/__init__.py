"""Breaks the split shop on purpose, under load, and says whether it kept what it promises.

`microservices chaos` is the command; the tests of the fault gates use the same parts: a shop of its own (`arena`),
customers who remember what they were told (`load`), faults that begin and end (`faults`), and the invariants.
"""

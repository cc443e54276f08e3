"""Breaks the split shop on purpose, under load, and checks that it keeps its invariants.

The command is `microservices chaos`. The tests of the fault gates use the same parts: a shop of their own
(`shop_under_test`), customers who record every answer (`load`), faults that begin and end (`faults`), and the
invariants.
"""

"""The commands that a person types: each reads its options, calls the other packages and prints the result.

May know every other package; no other package knows this one.
"""

"""What a person types: each command reads its options, asks the rooms below and prints the answer.

May know every other room; no other room knows this one.
"""

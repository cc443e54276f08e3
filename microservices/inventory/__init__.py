"""Inventory: how many of each product there are, and who has some of them reserved."""

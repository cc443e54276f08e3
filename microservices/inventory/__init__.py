"""Inventory: how many of each product there are, and which orders reserved some."""

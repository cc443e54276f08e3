"""The technical library that every module uses; it contains nothing of the shop."""

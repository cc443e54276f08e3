"""The technical library that every service uses; it contains nothing of the shop."""

"""The same shop as one Flask block: one process, one database, one checkout transaction."""

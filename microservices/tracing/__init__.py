"""Receives traces over OTLP, keeps them in SQLite, and shows one request as a waterfall with its critical path."""

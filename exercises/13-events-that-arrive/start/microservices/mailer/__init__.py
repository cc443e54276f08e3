"""Mailer: a confirmation for each order."""

"""Fills accounts from a data set: `python -m microservices.accounts.seed FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from ..seeding import Tables, rows, seed
from .models import Base, Customer


def tables(folder: Path) -> Tables:
    """What to fill, and with what."""
    return [(Customer, rows(folder, "customers"))]


if __name__ == "__main__":
    sys.exit(seed("accounts", Base, tables, sys.argv[1:]))

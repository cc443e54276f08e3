"""The names in a trial's files: known to those who write them and to those who read them. Needs no library."""

COLUMNS = ("intended", "start", "end", "phase", "persona", "route", "status", "ok", "bytes")
"""Of requests.csv.gz; times in seconds after the trial's start."""

GATEWAY, GENERATOR = "gateway", "generator"
MACHINE_BUSY, MACHINE_STOLEN = "(machine busy)", "(machine stolen)"
"""Rows of processes.csv.gz that describe the machine, in core seconds: all that ran, and what a hypervisor took."""
NOT_REPLICAS = {GATEWAY, GENERATOR, MACHINE_BUSY, MACHINE_STOLEN}

MAX_GENERATOR_CORES = 0.8
"""A generator that used more may have been the slow one, and measured itself."""

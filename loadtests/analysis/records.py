"""The names in the files of a trial, shared by the code that writes them and the code that reads them. No imports."""

COLUMNS = ("intended", "start", "end", "phase", "persona", "route", "status", "ok", "bytes")
"""The columns of requests.csv.gz. Times are seconds after the start of the trial."""

GATEWAY, GENERATOR = "gateway", "generator"
MACHINE_BUSY, MACHINE_STOLEN = "(machine busy)", "(machine stolen)"
"""Rows of processes.csv.gz about the whole machine, in core seconds: busy in total, and taken by the hypervisor."""
NOT_REPLICAS = {GATEWAY, GENERATOR, MACHINE_BUSY, MACHINE_STOLEN}

MAX_GENERATOR_CORES = 0.8
"""A generator that used more may have been the bottleneck; then it measured itself and not the shop."""

"""The names in the files of a trial, shared by the code that writes them and the code that reads them. No imports."""

COLUMNS = ("intended", "start", "end", "phase", "persona", "route", "status", "ok", "bytes", "cut")
"""The columns of requests.csv.gz. Times are seconds after the trial's start. `cut`: the end of the drain cut it off."""
VISIT, WAIT = "VISIT ", "WAIT "
"""Routes that begin so are no requests: a whole visit, or a wait for the effect of an order."""

HELD_COLUMNS = ("throttled_periods", "throttled_seconds", "pressure_seconds")
KEPT_COLUMNS = ("handles", "threads")
PROCESS_COLUMNS = ("at", "name", "cpu_seconds", "uss_bytes", *HELD_COLUMNS, *KEPT_COLUMNS)
"""The columns of processes.csv.gz. Three say how a slice held a replica back; empty where nobody counts it. The last
two are what the group holds: open files and connections, and threads."""

GATEWAY, GENERATOR = "gateway", "generator"
MACHINE_BUSY, MACHINE_STOLEN = "(machine busy)", "(machine stolen)"
"""Rows of processes.csv.gz about the whole machine, in core seconds: busy in total, and taken by the hypervisor."""
NOT_REPLICAS = {GATEWAY, GENERATOR, MACHINE_BUSY, MACHINE_STOLEN}

ENGINE = "kubernetes"
"""The `engine` in the facts of a trial whose shop ran in a cluster; other trials have none."""

READING_SECONDS = 1.0
"""The times of a kubelet's readings are whole seconds; samples have the middle of that second."""

MAX_GENERATOR_CORES = 0.8
"""A generator that used more may have been the bottleneck; then it measured itself and not the shop."""

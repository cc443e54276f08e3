"""The lab proves itself: what was put in must come out. Simulated trials, then real processes."""

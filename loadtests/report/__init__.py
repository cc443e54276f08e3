"""Shows results: the ledger, the report page, charts, and the comparison of two runs."""

"""How it is told: the ledger, the page, the charts, the comparison of two runs."""

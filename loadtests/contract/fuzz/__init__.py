"""Generated requests: Schemathesis tests both shops against the contract."""

"""The contract of both shops: the acceptance suite, the parity check, and requests generated from the contract."""

"""What both shops promise: the acceptance suite, the parity script, and requests made from the contract."""

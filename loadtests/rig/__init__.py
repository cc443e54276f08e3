"""The shops under test and their instruments: start, slice, observe, disturb and stop a shop, one trial at a time."""

"""The order of work: the trials of a run, the turns of shops, and the rates that a search tries. Pure."""

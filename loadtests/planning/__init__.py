"""In which order: the trials of a run, the turns that shops take, and the rates that a search tries. Pure."""

"""What the lab's own instruments are worth: generator, slices, analysis, each with its bar. Part of `make bench`."""

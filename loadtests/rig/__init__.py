"""The shops under test: started, given CPU slices, watched, broken and stopped; one trial at a time."""

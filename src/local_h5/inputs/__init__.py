"""The inputs of a run, checked once: source dataset, weights, geography."""

"""What a run is given, checked once: source dataset, weights, geography."""

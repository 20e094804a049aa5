"""What is prepared once for all areas: the snapshot (the only door to the country model), clones, blocks."""

"""Inputs prepared once for all areas: the snapshot (the only module that uses the country model), clones, blocks."""

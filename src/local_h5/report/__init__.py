"""The report of a run: one self-contained HTML page, its figures, and its tables."""

"""From an address to verified bytes, and what stands where."""

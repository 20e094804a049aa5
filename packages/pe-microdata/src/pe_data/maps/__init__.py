"""Maps of an outcome by congressional district: a cartogram of equal cells, or true shapes that the user brings."""

"""Reading pickles of numpy, scipy, pandas and Arrow objects without running their code."""

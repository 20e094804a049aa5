"""Is a built file what it should be? Two levels: its structure, without the model, and the target database, with it."""

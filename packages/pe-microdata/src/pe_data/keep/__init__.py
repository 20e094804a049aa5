"""Look after a store: copy, check, clean up, pin."""

"""Read: from an address to verified bytes; lists, manifests, history."""

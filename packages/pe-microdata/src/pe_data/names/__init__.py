"""Names: addresses, keys in a store, digests, countries, times."""

"""What things are called: addresses, keys in a store, digests, countries, times."""

"""Sources: where the bytes of one download can come from, whoever asks for them."""

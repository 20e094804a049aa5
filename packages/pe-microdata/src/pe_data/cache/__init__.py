"""The cache: verified files by sha256, one path per artifact."""

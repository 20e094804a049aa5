"""Describe a data file by reading it."""

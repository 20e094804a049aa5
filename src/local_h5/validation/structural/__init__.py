"""Checks of a file against its inputs, in every area job."""

"""Checks of a file against its inputs; every area job makes them."""

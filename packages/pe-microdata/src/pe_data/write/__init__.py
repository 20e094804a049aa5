"""Publish, nominate, revoke: everything that adds to a store."""

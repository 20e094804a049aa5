"""The configuration of this machine: stores, credentials, folders."""

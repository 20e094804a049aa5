"""What this machine was told: stores, credentials, folders."""

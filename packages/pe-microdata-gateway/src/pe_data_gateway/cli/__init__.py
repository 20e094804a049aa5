"""The commands of the gateway: serve, token, audit."""

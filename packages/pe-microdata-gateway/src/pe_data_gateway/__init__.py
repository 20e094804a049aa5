"""A gateway in front of a private store: authenticate, authorise, log, then release.

`service` decides, `audit_log` writes, `app` speaks HTTP, `serve` runs it. The libraries behind it
(`starlette`, `uvicorn`, `itsdangerous`) come with the distribution and are loaded by these modules
alone; nothing here is imported by the resolver.
"""

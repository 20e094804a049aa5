"""Keys, signatures, the trust root, and the nominations that rest on them.

Nothing here is imported by a pinned or `@latest` fetch, and the libraries behind it (`tuf`,
`securesystemslib`) are loaded by the functions that need them.
"""

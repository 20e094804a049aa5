"""Check that the libraries for signatures are installed, and say which extra has them."""

from pe_data.errors import need

_MODULES = ("securesystemslib.signer", "cryptography", "tuf.api.metadata")


def need_libraries(*modules: str) -> None:
    """Raise MissingExtraError, saying what to install, if a library is not there."""
    need("signatures and the trust root need", "trust", *(modules or _MODULES))

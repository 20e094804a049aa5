"""Check that the libraries for signatures are installed, and say which extra has them."""

from importlib import import_module

from pe_data.errors import MissingExtraError

_MODULES = ("securesystemslib.signer", "cryptography", "tuf.api.metadata")


def need_libraries(*modules: str) -> None:
    """Raise MissingExtraError, saying what to install, if a library is not there."""
    for module in modules or _MODULES:
        try:
            import_module(module)
        except ImportError as error:
            raise MissingExtraError(
                f"signatures and the trust root need the package {module.partition('.')[0]}: "
                "install the extra 'trust' of pe-microdata"
            ) from error

"""Turn the exceptions of `obstore` and of the file system into the errors of this package."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from pe_data.errors import (
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    RangeNotSupportedError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
    VersionMismatchError,
)

_QUERY = re.compile(r"\?[^\s\"')]+")
_RANGE = re.compile(r"range request not supported", re.IGNORECASE)


def short(error: BaseException) -> str:
    """First paragraph of a message, without query strings (they can carry signatures)."""
    return _QUERY.sub("?…", str(error).split("\n\n")[0]).strip()[:400]


@contextmanager
def translated(url: str, key: str) -> Iterator[None]:
    """Re-raise what goes wrong inside as an error of this package that names store and key."""
    where = f"{url}: {key}"
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectNotFoundError(f"{where}: there is no such object") from error
    except AlreadyExistsError as error:
        raise ObjectExistsError(f"{where}: an object is there already") from error
    except PreconditionError as error:
        raise VersionMismatchError(f"{where}: the object was changed by someone else") from error
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise StorePermissionError(
            f"{where}: access refused; check the credentials and what they are allowed to do "
            f"under this prefix ({short(error)})"
        ) from error
    except ValueError as error:
        raise InvalidNameError(f"{where}: not a key of this store: {short(error)}") from error
    except BaseError as error:
        if _RANGE.search(str(error)):
            raise RangeNotSupportedError(f"{where}: the server ignores ranges") from error
        if isinstance(error, NotSupportedError):
            raise StoreError(f"{where}: {short(error)}") from error
        raise StoreUnavailableError(
            f"{where}: no usable answer; check the address and the network, then try again ({short(error)})"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{where}: the file system refused: {error.strerror or error}; free space or choose "
            "another folder, then try again"
        ) from error

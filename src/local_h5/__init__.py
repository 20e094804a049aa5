"""Calibrated US microdata as one H5 file per area.

``build_h5`` builds one file in one call, ``H5Builder`` several of one source; everything else is in the modules.
Importing this package imports nothing but the errors and msgspec: numpy, h5py and the model come when they are used.
"""

import sys
from typing import TYPE_CHECKING, Any

if "typing_extensions" not in sys.modules:
    # msgspec takes from it what typing has from Python 3.11 on; importing it is a fifth of what a job imports.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # looks as if it were not installed
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]

from local_h5.errors import (
    ConfigError,
    DownloadError,
    EmptySelectionError,
    InputError,
    LocalH5Error,
    ModelError,
    PreparedError,
    RequestError,
    ResultError,
    SourceError,
    WriteError,
)

if TYPE_CHECKING:
    from local_h5.facade import H5Builder, build_h5

    __version__: str

__all__ = [
    "ConfigError",
    "DownloadError",
    "EmptySelectionError",
    "H5Builder",
    "InputError",
    "LocalH5Error",
    "ModelError",
    "PreparedError",
    "RequestError",
    "ResultError",
    "SourceError",
    "WriteError",
    "__version__",
    "build_h5",
]


def __getattr__(name: str) -> Any:
    if name in ("H5Builder", "build_h5"):
        from local_h5 import facade

        return getattr(facade, name)
    if name == "__version__":
        from importlib.metadata import version

        return version("local-h5")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

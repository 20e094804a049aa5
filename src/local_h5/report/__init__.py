"""The report of a run: one self-contained HTML page, its pictures, and its tables."""

from collections.abc import Callable
from pathlib import Path

from local_h5.errors import WriteError


def writer() -> Callable[..., Path]:
    """:func:`local_h5.report.write.write_report`.

    Raises:
        WriteError: a package is missing that building areas does not need.
    """
    try:
        from local_h5.report.write import write_report
    except ModuleNotFoundError as error:
        raise WriteError(
            f"report: expected the package {error.name}, found none. Install local-h5 with its extra 'report', and "
            "packages/pe-microdata of this project, which draws the maps."
        ) from error
    return write_report

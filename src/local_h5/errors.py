"""The error tree of :mod:`local_h5`.

Every error that a user can cause is a :class:`LocalH5Error`. Its text is one line that says which file or argument,
which field, what was expected, what was found and what to do, so that a command line can print it as it is.
"""

from collections.abc import Sequence


class LocalH5Error(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        message: ``<file or argument>: <field>: expected <this>, found <that>. <What to do.>``, in one line.
    """

    phase = "build"
    """Phase of an area build in which this error belongs: request, select, build, write or validate."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class ConfigError(LocalH5Error):
    """The configuration has an unknown key, a wrong type or a value that cannot be used."""

    phase = "request"


class MissingFilesError(ConfigError):
    """Files that the configuration names do not exist. The message is about the first.

    Args:
        faults: a message for each of them.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(faults[0])
        self.faults = tuple(faults)


class RunningError(LocalH5Error):
    """Another run is using the results folder, or one was killed and left its lock."""

    phase = "request"


class RequestError(LocalH5Error):
    """An area request names an unknown area or field, or a path outside the output folder."""

    phase = "request"


class EmptySelectionError(RequestError):
    """No household clone with a positive weight satisfies the area's filters."""

    phase = "select"


class InputError(LocalH5Error):
    """An input file is missing, unreadable, or holds something else than it should."""


class SourceError(InputError):
    """The source dataset is missing, malformed or inconsistent."""


class PreparedError(InputError):
    """A prepared folder is missing, incomplete or of another format version."""


class ModelError(LocalH5Error):
    """The country model is missing or refused the source."""


class WriteError(LocalH5Error):
    """An output could not be written; nothing is left under its final name."""

    phase = "write"


class ResultError(LocalH5Error):
    """A result sidecar is missing, does not satisfy its schema, or disagrees with its file."""

    phase = "validate"


class DownloadError(LocalH5Error):
    """A pinned public file could not be fetched, or its digest differs from the pinned one."""

    phase = "request"

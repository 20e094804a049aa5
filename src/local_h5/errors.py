"""The error tree of :mod:`local_h5`.

Every error that a user can cause is a :class:`LocalH5Error`. Its text is one line that says which file or argument,
which field, what was expected, what was found and what to do, so that a command line can print it as it is.
"""


class LocalH5Error(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        where: the file or argument that is wrong.
        field: the part of it that is wrong.
        expected: what would have been right.
        found: what was there instead.
        remedy: what to do about it.
    """

    phase = "build"
    """Phase of an area build in which this error belongs: request, select, build, write or validate."""

    def __init__(
        self,
        where: object,
        *,
        field: str | None = None,
        expected: object = None,
        found: object = None,
        remedy: str | None = None,
    ) -> None:
        self.where = str(where)
        self.field = field
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        self.remedy = remedy
        super().__init__(self._line())

    def _line(self) -> str:
        head = ": ".join(part for part in (self.where, self.field) if part)
        facts = ", ".join(
            f"{label} {text}"
            for label, text in (("expected", self.expected), ("found", self.found))
            if text is not None
        )
        line = f"{head}: {facts}" if facts else head
        if self.remedy:
            line = f"{line.rstrip('.')}. {self.remedy}"
        return " ".join(line.split())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (
            type(self),
            self.where,
            self.field,
            self.expected,
            self.found,
            self.remedy,
        )


def _rebuild(
    kind: type[LocalH5Error],
    where: str,
    field: str | None,
    expected: str | None,
    found: str | None,
    remedy: str | None,
) -> LocalH5Error:
    return kind(where, field=field, expected=expected, found=found, remedy=remedy)


class ConfigError(LocalH5Error):
    """The configuration has an unknown key, a wrong type or a value that cannot be used."""

    phase = "request"


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


class WeightsError(InputError):
    """The weights vector has a wrong shape, type or value."""


class GeographyError(InputError):
    """The exact geography is missing, misaligned or contradicts the block tables."""


class UnsafePickleError(GeographyError):
    """A pickle asks for something else than numpy arrays and plain containers."""


class BlockTableError(InputError):
    """A block table, the crosswalk or the county table is missing or malformed."""


class SourceError(InputError):
    """The source dataset is missing, malformed or inconsistent."""


class TakeupError(InputError):
    """A take-up programme, its rate table or the filter is wrong."""


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

"""Times as documents of a store write them: UTC, to the microsecond."""

from datetime import UTC, datetime

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"
"""Pattern of a time; which of them there are is `parse_time`'s to say."""


def now() -> datetime:
    """The time of this machine's clock, UTC. Whoever asks says `times.now()`: tests set the clock here."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """`moment` in UTC as pointers and marks write it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Inverse of `format_time`; ValueError if `text` is no such time."""
    return datetime.fromisoformat(text)

"""The gateway's own log, without tokens and links.

No code logs secrets. The filter is a second line of defence: it looks at every line of every logger,
including the text of exceptions.
"""

import logging
import re

from pe_data_gateway.tokens import TOKEN

LOGGER = logging.getLogger("pe_data_gateway")
_SECRETS = re.compile(
    "|".join((TOKEN.pattern, r"(?i:bearer\s+)\S+", r"/link/[A-Za-z0-9_.\-]+", r"(?i:signature|sig|token)=[^&\s]+"))
)
_TRACE = logging.Formatter()


class Redaction(logging.Filter):
    """Whatever looks like a token or a link is not written."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _SECRETS.sub("[redacted]", record.getMessage()), None
        if record.exc_info:
            record.exc_text = _SECRETS.sub("[redacted]", _TRACE.formatException(record.exc_info))
        return True


def config() -> dict[str, object]:
    """For `logging.config`: warnings of the server, and refusals, to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": Redaction}},
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
        "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["redact"]}},
        "loggers": {
            "uvicorn": {"handlers": ["err"], "level": "WARNING", "propagate": False},
            LOGGER.name: {"handlers": ["err"], "level": "INFO", "propagate": False},
        },
    }

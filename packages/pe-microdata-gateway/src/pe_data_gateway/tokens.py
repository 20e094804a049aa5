"""The file of tokens: who may read what. Token values are not stored.

A token is 256 random bits, shown once. The file has its sha256: for so many random bits an unsalted
hash is enough, and lookup by digest leaks nothing about the token.

The file must not be readable by others (it names people). It is read again when it changes, so that a
revoked token ends within a hundredth of a second; a file that cannot be read ends all of them.
"""

import re
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from filelock import FileLock

from pe_data.documents.document import Digest, Document, Part, Refused, Text, Time, check_times, describe, matching
from pe_data.errors import ConfigError, InvalidDocumentError, InvalidNameError
from pe_data.files.atomic import SECRET, replace_file, sync_folder
from pe_data.files.private import check_private
from pe_data.names import times
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import check_country, check_dataset
from pe_data.names.times import format_time, parse_time

PREFIX = "pedata_"
"""Beginning of every token, by which scanners for leaked secrets know one."""
TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
LOOK_SECONDS = 0.01
"""How often the file is checked for changes; many requests share one check."""
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


def check_scope(text: str) -> None:
    """Raise InvalidNameError for what is neither a dataset, `uk/enhanced_frs`, nor all of a country, `uk/*`."""
    country, slash, dataset = text.partition("/")
    if not slash:
        raise InvalidNameError(f"scope: expected COUNTRY/DATASET or COUNTRY/*, found {text[:120]!r}")
    check_country(country)
    if dataset != "*":
        check_dataset(dataset)


class Token(Part, frozen=True):
    """What is known about a token.

    Attributes:
        id: Names it in the log and to `revoke`; no secret.
        scopes: What it opens, each as `country/dataset` or `country/*`.
    """

    id: Text
    sha256: Digest
    user: Annotated[str, matching(_USER.pattern, "the name of a user")]
    scopes: tuple[Text, ...]
    created: Time
    expires: Time
    revoked: Time | None

    def __post_init__(self) -> None:
        check_times(self, "created", "expires", "revoked")
        for text in self.scopes:
            try:
                check_scope(text)
            except InvalidNameError:
                raise Refused("scopes", "COUNTRY/DATASET or COUNTRY/*", describe(text)) from None

    def covers(self, country: str, dataset: str | None) -> bool:
        """Whether its scopes allow that dataset; None asks for anything of the country."""
        if dataset is None:
            return any(text.startswith(f"{country}/") for text in self.scopes)
        return not {f"{country}/*", f"{country}/{dataset}"}.isdisjoint(self.scopes)

    def counts(self) -> bool:
        """Whether it has neither ended nor been revoked."""
        return self.revoked is None and times.now() < parse_time(self.expires)


class TokenFile(Document, frozen=True):
    """The file."""

    tokens: tuple[Token, ...]


def new_token(path: Path, user: str, scopes: tuple[str, ...], lifetime: timedelta) -> tuple[str, Token]:
    """Make a token and write its digest to the file; the token itself is in the return value alone.

    Raises:
        InvalidNameError: no name of a user, or no scope.
        ConfigError: the file cannot be used.
    """
    if not _USER.fullmatch(user):
        raise InvalidNameError(f"user: expected a name or an e-mail address without blanks, found {user[:120]!r}")
    if not scopes:
        raise InvalidNameError("scopes: expected at least one, such as COUNTRY/DATASET, found none")
    for scope in scopes:
        check_scope(scope)
    moment = times.now()
    text = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=secrets.token_hex(6),
        sha256=sha256_bytes(text.encode()),
        user=user,
        scopes=scopes,
        created=format_time(moment),
        expires=format_time(moment + lifetime),
        revoked=None,
    )
    _change(path, lambda tokens: (*tokens, token))
    return text, token


def revoke_tokens(path: Path, which: str) -> tuple[Token, ...]:
    """End a token by id, or all those of a user; returns those that ended.

    Raises:
        ConfigError: no token has that id or user, or the file cannot be used.
    """
    ended: list[Token] = []

    def change(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        ended.extend(one for one in tokens if which in (one.id, one.user))
        return tuple(
            msgspec.structs.replace(one, revoked=one.revoked or format_time(times.now())) if one in ended else one
            for one in tokens
        )

    _change(path, change)
    if not ended:
        raise ConfigError(f"{path}: no token has the id or the user {which[:120]!r}; see `pe-data token list`")
    return tuple(ended)


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Every token of the file. Raises ConfigError."""
    check_private(path)
    try:
        return TokenFile.from_bytes(path.read_bytes(), str(path)).tokens
    except InvalidDocumentError as error:
        raise ConfigError(f"{error}. Mend the file or restore it; no token is accepted until then") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


class TokenBook:
    """The tokens of a file, read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if the file cannot be used."""
        self.path = path
        self._state: tuple[int, ...] = ()
        self._by_digest: dict[Sha256, Token] = {}
        self._looked = 0.0
        self._refresh()

    def find(self, text: str) -> Token | None:
        """The token, if it is one that counts now. Raises ConfigError if the file cannot be read."""
        self._refresh()
        token = self._by_digest.get(sha256_bytes(text.encode()))
        return token if token and token.counts() else None

    def is_active(self, token_id: str) -> bool:
        """Whether the token with that id counts now. Raises ConfigError."""
        self._refresh()
        return any(one.id == token_id and one.counts() for one in self._by_digest.values())

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        try:
            found = self.path.stat()
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if state != self._state:
            self._by_digest = {token.sha256: token for token in read_tokens(self.path)}
            self._state = state
        self._looked = now


def _change(path: Path, change: Callable[[tuple[Token, ...]], tuple[Token, ...]]) -> None:
    """Read, change and replace the file, one process at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(path.with_name(f".{path.name}.lock")):
            tokens = change(read_tokens(path) if path.exists() else ())
            replace_file(path, TokenFile(tokens).to_bytes() + b"\n", mode=SECRET)
            sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error

"""Sha256 digests as checked text, and the one JSON form whose bytes are hashed.

Two properties matter for what is built on top: a document that was written by `canonical_json`
has exactly one byte representation, and `strict_json` refuses what makes two readers disagree
about one text (duplicate keys, NaN, anything after the document).
"""

import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from pe_data.errors import DigestMismatchError, InputError, InvalidDocumentError, InvalidNameError

CHUNK_BYTES = 1024 * 1024
NAMED_LIMIT = 64 * 1024 * 1024
"""Largest document that is read because somebody named its file, in bytes."""
_HEX = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T", bound=Hashable)


class Sha256(str):
    """64 lower-case hexadecimal digits; at run time a plain `str`.

    There is no other way to one than the check: a digest becomes a part of file names and keys, and
    whatever a document, a configuration or a caller says passes through here first.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "Sha256":
        """`parse_sha256`: naming the type checks the text."""
        return parse_sha256(text)


def parse_sha256(text: str, *, what: str = "sha256") -> Sha256:
    """Check that `text` is 64 lower-case hexadecimal digits.

    Raises:
        InvalidNameError: if it is not.
    """
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise InvalidNameError(
            f"{what}: expected 64 lower-case hexadecimal digits, found {str(text)[:80]!r} ({len(str(text))} characters)"
        )
    return cast(Sha256, text)


def first_twice(values: Iterable[T]) -> T | None:
    """The first value that stands there a second time, or None; one pass, however many there are."""
    seen: set[T] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def sha256_bytes(data: bytes) -> Sha256:
    """Digest of `data`."""
    return Sha256(hashlib.sha256(data).hexdigest())


def check_plain(mode: int) -> None:
    """Raise OSError for what is neither a file nor a folder: reading a pipe or a device may never end."""
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "expected a file, found a pipe or a device")


def open_plain(path: Path) -> BufferedReader:
    """Open a file to read it. Raises OSError at once for a pipe or a device, which may never send anything."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        check_plain(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")  # which refuses a folder
    except OSError:
        with suppress(OSError):
            os.close(descriptor)
        raise


def read_kept(path: Path) -> bytes | None:
    """What this machine keeps in a file; None if there is none, or none that this user may read."""
    try:
        with open_plain(path) as handle:
            return handle.read()
    except OSError:
        return None


def read_named(path: Path, what: str | None = None, most: int = NAMED_LIMIT) -> bytes:
    """What is in a file that somebody named. Raises InputError if it cannot be read, or has more than `most` bytes."""
    try:
        with path.open("rb") as handle:
            raw = handle.read(most + 1)
    except OSError as error:
        raise InputError(f"{what or path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > most:
        raise InputError(f"{what or path}: expected at most {most} bytes, found more")
    return raw


def sha256_file(path: Path) -> Sha256:
    """Digest of a file, read in pieces (memory does not depend on its size). Raises OSError."""
    with open_plain(path) as handle:
        return Sha256(hashlib.file_digest(handle, "sha256").hexdigest())


def copy_checked(original: BinaryIO, copy: BinaryIO, expected: Sha256, *, what: str, advice: str) -> None:
    """Copy a file and hash it on the way. Raises DigestMismatchError as `check_bytes`, once all is copied."""
    digest = hashlib.sha256()
    while piece := original.read(CHUNK_BYTES):
        copy.write(piece)
        digest.update(piece)
    check_digest(Sha256(digest.hexdigest()), expected, what=what, advice=advice)


def sha256_pieces(pieces: Iterable[bytes]) -> tuple[Sha256, int]:
    """Digest of bytes that come piece by piece, and how many they are."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return Sha256(digest.hexdigest()), size


def check_bytes(data: bytes, expected: Sha256, *, what: str, advice: str) -> bytes:
    """Return `data` if its sha256 is `expected`.

    Raises:
        DigestMismatchError: if it is not; the message has both digests.
    """
    check_digest(sha256_bytes(data), expected, what=what, advice=advice)
    return data


def check_digest(found: Sha256, expected: Sha256, *, what: str, advice: str) -> None:
    """Raise DigestMismatchError, with both digests, for another one than expected."""
    if found != expected:
        raise DigestMismatchError(what, expected=f"sha256 {expected}", found=f"sha256 {found}", advice=advice)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(document: Mapping[str, object]) -> bytes:
    """UTF-8 JSON with sorted keys, no blanks and no NaN: one document, one byte string."""
    return _CANONICAL.encode(document).encode()


def strict_json(raw: bytes, *, what: str) -> dict[str, object]:
    """Parse a JSON object, in time proportional to its size.

    Refused is what two readers may understand differently, or what cannot be written again as it was: a key twice in
    one object, NaN, numbers beyond 64 bits or a float's range, half a surrogate pair, another
    encoding than UTF-8, anything but one object.

    Args:
        raw: The bytes of the document.
        what: What the document is, for the message.

    Raises:
        InvalidDocumentError: if `raw` is not one strict JSON object.
    """
    if raw.startswith(b"\x1f\x8b"):
        raise InvalidDocumentError(
            f"{what}: expected JSON, found bytes of gzip. A server that compresses what nobody asked it to is set up "
            "wrongly: tell whoever runs it"
        )
    try:
        text = raw.decode()  # json would take other encodings too
        document = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
        if "\\u" in text:
            _CANONICAL.encode(document).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidDocumentError(f"{what}: not readable as JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDocumentError(f"{what}: expected a JSON object, found {type(document).__name__}")
    return document


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(f"key {str(first_twice(name for name, _ in pairs))[:80]!r} stands twice in one object")
    return result


def _integer(text: str) -> int:
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        raise ValueError(f"an integer beyond 64 bits: {text[:40]}")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"a number out of range: {text[:40]}")
    return number


def _constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")

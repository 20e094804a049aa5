"""Files in repositories of the Hugging Face hub, through `huggingface_hub` (extra `hf`).

The hub's own cache keeps the file, as it does for every other program of the user; what is added
here is the check of its bytes. The digest comes from the address or the caller, else from the hub
itself, which names large files by their sha256. The result is stamped, so that an unchanged file is
hashed once.
"""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from pe_data.errors import (
    CacheError,
    DigestMismatchError,
    FetchError,
    ObjectNotFoundError,
    OfflineError,
    need,
)
from pe_data.files.atomic import write_atomic
from pe_data.names.digests import Sha256, canonical_json, read_kept, sha256_file
from pe_data.names.uri import HubUri
from pe_data.read.options import Options
from pe_data.read.revoked import refuse_remembered

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOGGERS = ("huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "urllib3")
ENDPOINT_VARIABLE = "HF_ENDPOINT"


def ensure_hub(uri: HubUri, options: Options) -> Path:
    """The verified file, in the hub's cache.

    Raises:
        MissingExtraError: `huggingface_hub` is not installed.
        ObjectNotFoundError: no such repository, revision or file (or no permission to see it).
        OfflineError: offline, and the file is not in the hub's cache.
        FetchError: the hub did not answer.
        DigestMismatchError: the bytes are wrong; they were removed from the hub's cache.
    """
    path = _download(uri, options, force=False)
    expected = _expected(uri, path)
    if expected is not None:
        refuse_remembered(uri, expected, options, cached=True)
    if expected is None:
        return path
    found = _wrong(path, expected, options)
    if found is not None and not options.offline:
        path = _download(uri, options, force=True)
        found = _wrong(path, expected, options)
    if found is None:
        return path
    raise DigestMismatchError(
        str(uri),
        expected=f"sha256 {expected}",
        found=f"sha256 {found}",
        advice="It was removed from the hub's cache. Check the revision and the digest.",
    )


def _download(uri: HubUri, options: Options, *, force: bool) -> Path:
    try:
        return _of_kind(uri, options, force=force)
    except (ObjectNotFoundError, OfflineError) as first:
        if not uri.guessed:
            raise
        with suppress(ObjectNotFoundError, OfflineError):
            return _of_kind(replace(uri, repo_type="dataset"), options, force=force)
        raise first


def hub_library(what: str) -> tuple[ModuleType, ModuleType]:
    """`huggingface_hub` and its errors. Raises MissingExtraError, which begins with `what`."""
    need(f"{what} need", "hf", "huggingface_hub")
    import huggingface_hub as hub
    from huggingface_hub import errors as hub_errors

    return hub, hub_errors


@contextmanager
def without_its_logs() -> Iterator[None]:
    """The library warns of every try, and of its own libraries; the one error at the end says it.

    The web libraries beneath it log the addresses of uploads, which are signed, and what a server echoes.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _of_kind(uri: HubUri, options: Options, *, force: bool) -> Path:
    hub, hub_errors = hub_library(f"{uri}: hf:// addresses")
    try:
        with without_its_logs():
            return Path(
                hub.hf_hub_download(
                    f"{uri.owner}/{uri.repo}",
                    uri.path,
                    revision=uri.revision,
                    repo_type=uri.repo_type,
                    local_files_only=options.offline,
                    force_download=force,
                    endpoint=os.environ.get(ENDPOINT_VARIABLE),
                )
            )
    except hub_errors.LocalEntryNotFoundError as error:
        if options.offline:
            raise OfflineError(
                f"{uri}: the hub's cache does not have it, and the network is forbidden (offline)"
            ) from error
        raise FetchError(f"{uri}: the hub did not answer: {first_line(error)}") from error
    except (
        hub_errors.RepositoryNotFoundError,
        hub_errors.RevisionNotFoundError,
        hub_errors.EntryNotFoundError,
    ) as error:
        kind = {"RepositoryNotFoundError": "repository", "RevisionNotFoundError": "revision"}
        part = kind.get(type(error).__name__, "file")
        raise ObjectNotFoundError(
            f"{uri}: expected an existing {part}, found none (private ones need a token in HF_TOKEN)"
        ) from error
    except transport_errors(hub_errors.HfHubHTTPError) as error:
        raise FetchError(f"{uri}: the hub did not deliver: {first_line(error)}") from error


def transport_errors(kind: type[Exception]) -> tuple[type[Exception], ...]:
    """`kind` and its bases: which web library is beneath changes with the version of the hub's."""
    return tuple(k for k in kind.__mro__ if issubclass(k, Exception) and k is not Exception)


def _expected(uri: HubUri, path: Path) -> Sha256 | None:
    """The digest to check: given, or the hub's own name for a large file."""
    if uri.sha256:
        return uri.sha256
    blob = path.resolve().name
    return Sha256(blob) if _SHA256.fullmatch(blob) else None


def _wrong(path: Path, expected: Sha256, options: Options) -> Sha256 | None:
    """The digest of a file that is wrong, which is removed; None of one that is right, as its stamp remembers."""
    real = path.resolve()
    stat = real.stat()
    now = {"sha256": expected, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    stamp = options.cache.paths.hub_stamp(real)
    if not options.verify and read_kept(stamp) == canonical_json(now):
        return None
    found = sha256_file(real)
    if found != expected:
        real.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return found
    with suppress(CacheError):  # it is hashed again next time
        write_atomic(stamp, canonical_json(now))
    return None


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__

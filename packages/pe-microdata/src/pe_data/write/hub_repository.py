"""One repository of the Hugging Face hub, to be written to through the hub's own client (extra `hf`)."""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pe_data.errors import (
    ConflictError,
    ObjectNotFoundError,
    PeDataError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
)
from pe_data.names.digests import Sha256
from pe_data.read.hub import ENDPOINT_VARIABLE, first_line, hub_library, transport_errors, without_its_logs
from pe_data.write.release_manifest import HubPlace

ASKED = 500
"""Most paths of one question; the hub refuses more than 1,000."""
LOGGER = logging.getLogger(__name__)
_TOKEN = re.compile(r"\bhf_\w{8,}|(?<=Bearer )\S+")
_QUERY = re.compile(r"(https?://[^\s?'\"]*)\?[^\s'\"]*")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file that the repository is to have."""

    path: str
    size_bytes: int
    sha256: Sha256


class HubRepository:
    """One repository, through the hub's own client; whatever goes wrong there is one of our errors, without secrets."""

    def __init__(self, place: HubPlace, content: Callable[[Sequence[HubFile]], Mapping[HubFile, bytes | Path]]) -> None:
        """Nothing is asked yet.

        Args:
            content: Gives what is in files that are to be there.
        """
        self._library, self._errors = hub_library("export-hub: repositories of the hub")
        self._caught: tuple[type[Exception], ...] = (
            *transport_errors(self._errors.HfHubHTTPError),
            OSError,
            ValueError,
            RuntimeError,
        )
        self._api = self._library.HfApi(endpoint=os.environ.get(ENDPOINT_VARIABLE))
        self._place, self._content = place, content
        self.token: str | None = self._library.get_token()
        self.name = f"hub {place.repo_type} {place.repo_id}"

    def call(self, doing: str, method: str, **arguments: Any) -> Any:
        """A method of the client for this repository."""
        place = self._place
        try:
            with without_its_logs(), self._without_its_bars():
                return getattr(self._api, method)(place.repo_id, repo_type=place.repo_type, **arguments)
        except self._caught as error:
            raise self._failed(doing, error) from None  # its own text may hold what nobody should read

    def different(self, revision: str, files: Sequence[HubFile]) -> list[HubFile]:
        """Those of the files that are not there, or other ones."""
        found = {}
        for some in parts(files, ASKED):
            paths = [file.path for file in some]
            rows = self.call(f"what is there at {revision[:12]}", "get_paths_info", paths=paths, revision=revision)
            found.update({row.path: row for row in rows})
        return [file for file in files if file.path not in found or not self._same(found[file.path], file)]

    def additions(self, files: Sequence[HubFile]) -> list[Any]:
        """Operations that add files; payloads are fetched from the store and verified."""
        content = self._content(files)
        return [self._library.CommitOperationAdd(file.path, content[file]) for file in files]

    def copies(self, files: Sequence[HubFile], revision: str) -> list[Any]:
        """Operations that copy files from another revision."""
        operation = self._library.CommitOperationCopy
        return [operation(file.path, file.path, src_revision=revision) for file in files]

    def commit(self, branch: str, parent: str, message: str, operations: list[Any]) -> str:
        """One commit on a branch that still stands at `parent`; its id."""
        more = {"operations": operations, "commit_message": message, "revision": branch, "parent_commit": parent}
        return str(self.call(f"commit on {branch} ({message})", "create_commit", **more).oid)

    def drop_branch(self, branch: str) -> None:
        """Delete the branch, which the tag has made needless."""
        try:
            self.call("deleting the branch", "delete_branch", branch=branch)
        except StoreError as error:
            LOGGER.warning("the release is whole, but its branch %s stays: %s", branch, error)

    @contextmanager
    def _without_its_bars(self) -> Iterator[None]:
        from huggingface_hub import utils

        shown = not utils.are_progress_bars_disabled()
        if shown:
            utils.disable_progress_bars()
        try:
            yield
        finally:
            if shown:
                utils.enable_progress_bars()

    def _same(self, row: Any, file: HubFile) -> bool:
        """Whether a path of the repository has these bytes; small ones have git's digest alone."""
        if getattr(row, "lfs", None) is not None:
            return bool(row.lfs.sha256 == file.sha256)
        if getattr(row, "size", None) != file.size_bytes:
            return False
        content = self._content([file])[file]
        raw = content if isinstance(content, bytes) else content.read_bytes()
        return bool(row.blob_id == hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest())

    def _failed(self, doing: str, error: BaseException) -> PeDataError:
        causes = [error, *filter(None, [error.__cause__])]
        answers = (getattr(one, "response", None) for one in causes)
        status = next((answer.status_code for answer in answers if answer is not None), None)
        said = self._without_secrets("; ".join(dict.fromkeys(map(first_line, causes))))
        if isinstance(error, self._errors.RepositoryNotFoundError):
            return ObjectNotFoundError(
                f"{self.name}: expected an existing repository of that kind, found none that this token may see. Make "
                f"it on the hub first, or look at HF_TOKEN ({said})"
            )
        kind: type[PeDataError] = StoreError
        advice = "What was committed stays. Run the same again to go on"
        if status in (401, 403):
            kind, advice = StorePermissionError, "Use a token that may write to this repository, and run the same again"
        elif status in (409, 412):
            kind, advice = ConflictError, "Somebody else wrote there. Run the same again"
        elif (status is None and not isinstance(error, ValueError)) or status == 429 or (status or 0) >= 500:
            kind = StoreUnavailableError
        return kind(f"{self.name}: {doing}: {said}. {advice}")

    def _without_secrets(self, text: str) -> str:
        """Without tokens, and without queries of addresses: those of uploads are signed."""
        return _TOKEN.sub("…", _QUERY.sub(r"\1", text.replace(self.token, "…") if self.token else text))


def parts(files: Sequence[HubFile], size: int) -> list[tuple[HubFile, ...]]:
    """The files in parts of at most so many."""
    return [tuple(files[at : at + size]) for at in range(0, len(files), size)]

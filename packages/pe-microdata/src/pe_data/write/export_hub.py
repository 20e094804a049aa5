"""Put what was published into a repository of the Hugging Face hub, in the layout that its users know.

Files go onto a branch of their own, in commits of at most 50; release manifests and checksums are the last commit. Then
everything is looked at where it lies, and only then is there a tag: whoever sees the tag sees the whole release. `main`
changes only if that is asked for, by one commit of copies. The branch goes at the end.

What is there already, by the hub's own sha256, is neither fetched nor sent. So a call that was interrupted is completed
by the same call, and a further one changes nothing. A branch is named by tag and collection: what an earlier call left
of another collection is never mixed in. All traffic is `huggingface_hub`'s (extra `hf`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pe_data.documents.document import Document, Text
from pe_data.documents.notice import is_gated
from pe_data.documents.pointer import PointerBody
from pe_data.errors import (
    InputError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StorePermissionError,
)
from pe_data.names.digests import sha256_bytes
from pe_data.names.uri import StoreUri
from pe_data.read import channels
from pe_data.read.fetch import WORKERS, fetch_with
from pe_data.read.options import Options
from pe_data.store.artifacts import Contents, each
from pe_data.store.base import Store
from pe_data.texts import human_size
from pe_data.write.hub_repository import HubFile, HubRepository, parts
from pe_data.write.release_manifest import LOCAL_AREA, HubPlace, Listed, one_place
from pe_data.write.revocation_bar import Bar

BATCH = 50
"""Most files of a commit. Larger ones time out at the hub now and then."""
MANIFEST = "release_manifest.json"
CHECKSUMS = "sha256sums.txt"
MAIN = "main"


class Places(Document, frozen=True):
    """What is read of a release manifest."""

    artifacts: Mapping[Text, Listed]
    dataset_role: Text | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """What goes where."""

    uri: StoreUri
    """Pinned; whose files these are."""
    place: HubPlace
    payloads: Mapping[HubFile, str | None]
    """By path; each with its name in the collection, None for a single file."""
    documents: Mapping[HubFile, bytes]
    """Release manifests and checksums."""

    @property
    def branch(self) -> str:
        """Where the files lie until there is a tag."""
        return f"stage-{self.place.revision}-{self.uri.sha256:.12}"

    @property
    def files(self) -> list[HubFile]:
        """All of it, in the order in which it is committed."""
        return [*self.payloads, *self.documents]

    def content(self, files: Sequence[HubFile], options: Options) -> Mapping[HubFile, bytes | Path]:
        """What is in some of the files; payloads are fetched from the store and verified."""
        names = [self.payloads[file] for file in files if file in self.payloads]
        brought: Mapping[str, Path] = {}
        if names:
            members = None if None in names else [name for name in names if name]
            brought = fetch_with(str(self.uri), options, members, None, WORKERS, False, False, None).paths
        return {
            file: self.documents[file] if file in self.documents else brought[self.payloads[file] or self.uri.dataset]
            for file in files
        }


@dataclass(frozen=True, slots=True)
class HubReport:
    """What an export did, or would do."""

    uri: str
    """Pinned."""
    repo_id: str
    repo_type: str
    tag: str
    commit: str | None
    """That the tag is on; None in a dry run that would make it."""
    commits: tuple[tuple[HubFile, ...], ...]
    """The files of each commit before the tag."""
    already_there: int
    main: tuple[HubFile, ...] | None
    """The copies of the commit on `main`; None if nobody asked for it."""
    dry_run: bool

    def lines(self) -> list[str]:
        """For a person."""
        found = [f"{self.repo_type} {self.repo_id}, tag {self.tag}"]
        for number, files in enumerate(self.commits, 1):
            names = f"{files[0].path} … {files[-1].path}" if len(files) > 1 else files[0].path
            found.append(f"commit {number} of {len(self.commits)}: {_counted(files)}: {names}")
        if self.main is None:
            found.append("main stays as it is")
        else:
            found.append(f"main: {_counted(self.main)}, as one commit of copies" if self.main else "main has all of it")
        files = tuple(chain(*self.commits))
        counts = f"{_counted(files)}; {self.already_there:,} already there"
        if self.dry_run:
            return [*found, f"dry run, nothing was written; to send: {counts}"]
        return [*found, f"sent: {counts}; tag {self.tag} is commit {self.commit}"]


def stood_at(store: Store, uri: StoreUri) -> PointerBody:
    """The pointer of `latest`, or the newest one that led to the artifact of a pinned address.

    Raises:
        InputError: an address of a member, or of `next`.
        ObjectNotFoundError: nothing was published there, or `latest` never stood at it.
    """
    if uri.member is not None or uri.channel == "next":
        raise InputError(f"{uri}: expected what was published as a whole, at @latest or @sha256:…")
    if uri.sha256 is None:
        return channels.read(store, uri.country, uri.dataset).body
    for pointer in channels.history(store, uri.country, uri.dataset):
        if pointer.body.artifact_sha256 == uri.sha256:
            return pointer.body
    raise ObjectNotFoundError(f"{uri}: expected what @latest stood at once, found it nowhere in the history")


def refuse_private(contents: Contents, store: Store) -> None:
    """Raise InputError for gated data, RevokedError for what was revoked: neither goes to a hub."""
    country = contents.country
    for file in contents.files:
        if is_gated(country, file.manifest.access):
            name = f"{country}/{contents.dataset}{f'/{file.name}' if file.name else ''}"
            raise InputError(
                f"{name}: expected public data, found gated data (licence: {file.manifest.licence}). Its terms bind "
                "every reader, and a hub does not know its readers. Serve it through a gateway"
            )
    bar, what = Bar.of(store), f"{country}/{contents.dataset}"
    each(lambda sha256: bar.refuse(country, sha256, what), contents.artifacts)


def plan_export(contents: Contents, uri: StoreUri, manifests: Iterable[tuple[str, bytes]]) -> Export:
    """The files that release manifests list, and where they are to lie.

    Args:
        contents: Of the artifact that `uri` is pinned to.
        manifests: Name for messages, and bytes, of one release manifest or of two: one of them that of the area-coded
            file (role `non_default_local_area`), which goes into `local_area/`.

    Raises:
        InvalidDocumentError: not a release manifest.
        InputError: a file is listed that is another one in the store; files are to lie in several places, or under
            other names; two manifests of one kind.
    """
    there = {file.name or contents.dataset: file for file in contents.files}
    payloads: dict[HubFile, str | None] = {}
    documents: dict[str, bytes] = {}
    listed: list[Listed] = []
    whats = []
    for what, raw in manifests:
        found = Places.from_bytes(raw, what)
        whats.append(what)
        listed += found.artifacts.values()
        where = f"local_area/{MANIFEST}" if found.dataset_role == LOCAL_AREA else MANIFEST
        if where in documents:
            raise InputError(f"{what}: expected one manifest for {where}, found a second one")
        documents[where] = raw
        for name, one in found.artifacts.items():
            file = there.get(name)
            if file is None or file.member.artifact_sha256 != one.sha256:
                here = f"sha256 {file.member.artifact_sha256}" if file else "no such file"
                raise InputError(
                    f"{what}: artifacts.{name}: expected a file of {uri}, found sha256 {one.sha256} here and {here} "
                    "there. Write the manifest again, or pin the address to what it is of (@sha256:…)"
                )
            path = f"{name}.{file.member.extension}"
            if one.path != path:
                raise InputError(f"{what}: artifacts.{name}.path: expected {path}, found {one.path[:120]!r}")
            payloads[HubFile(path, file.member.size_bytes, one.sha256)] = file.name
    place = one_place(listed, ", ".join(whats), InputError)
    documents |= {f"releases/{place.revision}/{path}": raw for path, raw in documents.items()}
    made = {HubFile(path, len(raw), sha256_bytes(raw)): raw for path, raw in documents.items()}
    ordered = {file: payloads[file] for file in sorted(payloads, key=lambda file: file.path)}
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in (*ordered, *made)).encode()
    made[HubFile(CHECKSUMS, len(sums), sha256_bytes(sums))] = sums
    return Export(uri, place, ordered, made)


def export_hub(
    export: Export,
    options: Options,
    *,
    main: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> HubReport:
    """Bring a release into its repository, which has to exist.

    Args:
        options: How the files are fetched from the store.
        main: Let `main` have the files too.
        dry_run: Write nothing to the hub; say what would be done.
        on_progress: Called with the bytes that are committed and those that are to be.

    Raises:
        MissingExtraError: `huggingface_hub` is not installed.
        StorePermissionError: there is no token, or the hub refused it.
        ObjectNotFoundError: there is no such repository, or the token may not see it.
        ObjectExistsError: the tag is there, with other files. It is never moved.
        ConflictError: somebody else wrote to the same branch. Doing it again is safe.
        StoreUnavailableError, StoreError: the hub did not answer, refused a file, or kept another one.
        PeDataError: as `fetch`.
    """
    hub = HubRepository(export.place, lambda files: export.content(files, options))
    if hub.token is None and not dry_run:
        raise StorePermissionError(
            f"{hub.name}: expected a token that may write, in HF_TOKEN or of `hf auth login`, found none"
        )
    place, tag, files = export.place, export.place.revision, export.files
    refs = hub.call("its branches and tags", "list_repo_refs")
    tags, heads = ({ref.name: ref.target_commit for ref in some} for some in (refs.tags, refs.branches))
    if tag in heads or MAIN not in heads:
        found = f"a branch of that name ({tag})" if tag in heads else f"no branch {MAIN}"
        raise InputError(f"{hub.name}: expected a branch {MAIN}, and none with the name of the tag, found {found}")
    head = tags.get(tag) or heads.get(export.branch) or heads[MAIN]
    missing = hub.different(head, files)
    if tag in tags and missing:
        raise ObjectExistsError(
            f"{hub.name}: tag {tag}: expected none, or one with these files, found commit {head[:12]} with another "
            f"{missing[0].path} or without it ({_counted(missing)} differ). A tag is never moved: choose another one"
        )
    kinds = ([file for file in missing if file in some] for some in (export.payloads, export.documents))
    commits = tuple(part for kind in kinds for part in parts(kind, BATCH))
    copies = tuple(hub.different(heads[MAIN], files)) if main else None
    if not dry_run:
        if tag not in tags:
            head = _stage(hub, export, head, commits, export.branch in heads, on_progress)
            hub.call(f"tag {tag}", "create_tag", tag=tag, revision=head)
        if copies:
            hub.commit(MAIN, heads[MAIN], f"Release {tag}", hub.copies(copies, head))
        if export.branch in heads or commits:
            hub.drop_branch(export.branch)
    return HubReport(
        uri=str(export.uri),
        repo_id=place.repo_id,
        repo_type=place.repo_type,
        tag=tag,
        commit=None if dry_run and tag not in tags else head,
        commits=commits,
        already_there=len(files) - len(missing),
        main=copies,
        dry_run=dry_run,
    )


def _stage(
    hub: HubRepository,
    export: Export,
    head: str,
    commits: Sequence[Sequence[HubFile]],
    begun: bool,
    on_progress: Callable[[int, int], None] | None,
) -> str:
    """Bring the commits onto the branch; the last one, which has every file as it should be."""
    total, done = sum(file.size_bytes for file in chain(*commits)), 0
    if commits and not begun:
        hub.call(f"branch {export.branch}", "create_branch", branch=export.branch, revision=head)
    tell = on_progress or (lambda done, total: None)
    tell(0, total)
    for number, files in enumerate(commits, 1):
        message = f"Release {export.place.revision}: part {number} of {len(commits)}"
        head = hub.commit(export.branch, head, message, hub.additions(files))
        done += sum(file.size_bytes for file in files)
        tell(done, total)
    wrong = hub.different(head, export.files) if commits else []
    if wrong:
        raise StoreError(
            f"{hub.name}: {wrong[0].path}: expected sha256 {wrong[0].sha256} after it was sent, found another file or "
            f"none ({_counted(wrong)} differ). No tag was made. Does a .gitignore of the repository leave it out?"
        )
    return head


def _counted(files: Sequence[HubFile]) -> str:
    return f"{len(files):,} file(s), {human_size(sum(file.size_bytes for file in files))}"

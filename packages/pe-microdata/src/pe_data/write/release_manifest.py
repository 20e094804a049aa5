"""The `release_manifest.json` of the old publishing path, which release bundles read.

The form is the old one: `schema_version`, `data_package`, `compatible_model_packages`,
`compatible_core_packages`, `default_datasets`, `build`, `metadata.region_datasets`, and `artifacts` by
path without extension, each with `kind`, `path`, `repo_id`, `revision`, `sha256` and `size_bytes`.
Everything in it comes from the manifests of the files and from what the publisher says of the release;
nothing is read again.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pe_data.documents.document import Digest, Part, matching
from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError, PeDataError
from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.uri import StoreUri
from pe_data.read.channels import read
from pe_data.store.artifacts import Contents, read_contents
from pe_data.store.base import Store

SCHEMA_VERSION = 1
MICRODATA = "microdata"
PART = "microdata_part"
"""Of a file below another one's name, such as `national/US/person`. A bundle makes a dataset of each microdata file."""
CORE_PACKAGE = "policyengine-core"
LOCAL_AREA = "non_default_local_area"
"""Role of a release that is one area-coded file, beside another release that has the nation's default."""
PLACEHOLDER = "local/local-h5"
"""Repository in a release manifest of files that were published to no hub."""

RepoType = Literal["model", "dataset"]
REPO_TYPES: tuple[RepoType, ...] = get_args(RepoType)
REGION_FOLDERS = {"state": ("states", "state_code"), "congressional_district": ("districts", "district_code")}
"""Type of region → the folder of its files, and what its template calls the name of a file."""
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
_CLAIM = re.compile(r"\s*(?P<name>[A-Za-z][A-Za-z0-9._-]*)?\s*(?P<specifier>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HubPlace:
    """Where in the hub a release lies, or is to lie."""

    repo_id: str
    repo_type: RepoType
    revision: str


class Listed(Part, frozen=True):
    """One artifact of a release manifest."""

    path: Annotated[str, matching(r"[^\s@]+", "a path without blanks and '@'")]
    repo_id: Annotated[str, matching(f"{NAME}/{NAME}", "OWNER/NAME")]
    revision: Annotated[str, matching(NAME, "a tag or commit of letters, digits, '.', '_' and '-'")]
    sha256: Digest
    repo_type: RepoType | None = None


def one_place(artifacts: Iterable[Listed], what: str, error: type[PeDataError]) -> HubPlace:
    """The one place of all artifacts. Raises `error`, which begins with `what`, if there is none."""
    places = {(one.repo_id, one.repo_type or "model", one.revision) for one in artifacts}
    if len(places) != 1:
        shown = "; ".join(" ".join(one) for one in sorted(places)[:3])
        raise error(f"{what}: expected all files in one repository at one revision, found {shown or 'no files'}")
    place = HubPlace(*places.pop())
    if place.repo_id == PLACEHOLDER:
        raise error(
            f"{what}: repo_id: expected the repository of the hub that holds the files, found {PLACEHOLDER!r}, which "
            "stands for none. Set store.release.repo and publish again, or use `pe-data release-manifest --repo`"
        )
    return place


@dataclass(frozen=True, slots=True)
class Release:
    """What the files themselves do not say about a release."""

    package: str
    """Name of the data package."""
    version: str
    """Of the data package; also the revision (tag) under which the old layout is found."""
    repo_id: str
    """Repository that holds the old layout, `owner/name`."""
    build_id: str
    built_at: str
    """UTC."""
    collection: str
    """Address of the same files in the store."""
    default_datasets: Mapping[str, str]
    """Role → artifact key; keys that no file has are left out."""
    repo_type: RepoType = "model"
    """Kind of the repository."""
    compatible: tuple[str, ...] = ()
    """Versions that the publisher claims the files fit, besides those that built them: a version specifier, or the name
    of the model or core package and a specifier (`policyengine-core>=3.33,<4`). Without a name it is the model's."""

    def __post_init__(self) -> None:
        """Raise InputError for a place that no hub has, or a claim that is no version specifier."""
        for what, text, pattern, expected in (
            ("repository", self.repo_id, f"{NAME}/{NAME}", "OWNER/NAME"),
            ("tag", self.version, NAME, "letters, digits, '.', '_' and '-'"),
            ("package", self.package, NAME, "letters, digits, '.', '_' and '-'"),
        ):
            if not re.fullmatch(pattern, text):
                raise InputError(f"release manifest: {what}: expected {expected}, found {text[:120]!r}")
        check_claims(self.compatible)


def release_manifest(manifests: Mapping[str, Manifest], release: Release) -> dict[str, Any]:
    """The document for files by relative name without extension (`states/AL`).

    Raises:
        InputError: the files were not all built with the same model, or a claim of compatibility is no version
            specifier or is one of another package.
    """
    defaults = {role: key for role, key in release.default_datasets.items() if key in manifests}
    regions = _regions(manifests, defaults)
    return _document(manifests, release, {"default_datasets": defaults}) | (
        {"metadata": {"region_datasets": regions}} if regions else {}
    )


def local_area_manifest(manifests: Mapping[str, Manifest], release: Release, name: str) -> dict[str, Any]:
    """The document for one file whose rows carry the code of their area; a bundle filters its rows for a region.

    It is for a bundle whose default comes from another release.

    Args:
        name: Key of that file, such as `national/US`.

    Raises:
        InputError: as `release_manifest`.
    """
    head = {"dataset_role": LOCAL_AREA, "is_default": False, "default_datasets": {}}
    return _document({name: manifests[name]}, release, head)


def published_manifest(
    store: Store,
    country: str,
    dataset: str,
    release_of: Callable[[str, str, str], Release],
    *,
    local_area: str | None = None,
) -> dict[str, Any]:
    """The document for what `latest` stands at in a store.

    Args:
        release_of: From build id, time of publication (UTC) and pinned address of the same files.
        local_area: Name of the only file, whose rows carry the code of their area.

    Raises:
        InputError: as `release_manifest`, or a file that is named is not there.
        ObjectNotFoundError, DigestMismatchError, InvalidDocumentError: as `pe_data.store.artifacts.read_contents`.
    """
    body = read(store, country, dataset).body
    found = read_contents(store, country, body.artifact_sha256, body.manifest_sha256)
    return contents_manifest(found, dataset, body.published_at, release_of, local_area=local_area)


def contents_manifest(
    found: Contents,
    dataset: str,
    published_at: str,
    release_of: Callable[[str, str, str], Release],
    *,
    local_area: str | None = None,
) -> dict[str, Any]:
    """As `published_manifest`, of what was read from the store. Raises InputError."""
    country = found.country
    manifests = {file.name or dataset: file.manifest for file in found.files}
    run_id = found.collection.run_id if found.collection else None
    build_id = run_id or f"{country}-{found.sha256[:16]}"
    release = release_of(build_id, published_at, str(StoreUri(country, dataset, None, None, found.sha256)))
    for name in filter(None, (local_area, *release.default_datasets.values())):
        if name not in manifests:
            shown = ", ".join(sorted(manifests)[:5]) + (" …" if len(manifests) > 5 else "")
            raise InputError(f"{country}/{dataset}: expected the name of a file ({shown}), found {name!r}")
    return local_area_manifest(manifests, release, local_area) if local_area else release_manifest(manifests, release)


def data_build_fingerprint(prints: Mapping[str, str | None]) -> str | Sha256 | None:
    """The data-build fingerprint of several files: the one that they share, else a digest over theirs by name.

    Args:
        prints: Dataset, or `dataset/member`, → the fingerprint in its manifest. None if one has none.
    """
    if None in prints.values():
        return None
    if len(set(prints.values())) == 1:
        return next(iter(prints.values()))
    return sha256_bytes("".join(f"{name} {text}\n" for name, text in sorted(prints.items())).encode())


def check_claims(claims: Iterable[str]) -> None:
    """Raise InputError for a claim of compatibility that is no version specifier."""
    for claim in claims:
        _split(claim)


def covers(specifier: str, version: str) -> bool:
    """Whether a version fits a specifier, both as Python packages write them; what is neither does not fit."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version) in SpecifierSet(specifier)
    except (InvalidSpecifier, InvalidVersion):
        return False


def _document(manifests: Mapping[str, Manifest], release: Release, head: Mapping[str, object]) -> dict[str, Any]:
    build: dict[str, Any] = {
        "build_id": release.build_id,
        "built_at": release.built_at,
        "metadata": {"pipeline_run_id": release.build_id, "collection": release.collection},
    }
    model = _one_package(manifests, lambda m: (m.build.model_package, m.build.model_version))
    core = _one_package(manifests, lambda m: (CORE_PACKAGE, m.build.tools.get(CORE_PACKAGE)))
    if model:
        build["built_with_model_package"] = dict(model)
        found = data_build_fingerprint(
            {
                one.dataset if name == one.dataset else f"{one.dataset}/{name}": one.build.data_build_fingerprint
                for name, one in manifests.items()
            }
        )
        if found is not None:
            build["built_with_model_package"]["data_build_fingerprint"] = found
    if core:
        build["built_with_core_package"] = core
    models, cores = _compatible(release.compatible, model, core)
    kind = {} if release.repo_type == "model" else {"repo_type": release.repo_type}
    return {
        "schema_version": SCHEMA_VERSION,
        "data_package": {"name": release.package, "version": release.version},
        "compatible_model_packages": models,
        "compatible_core_packages": cores,
        **head,
        "build": build,
        "artifacts": {
            name: {
                "kind": PART if name.rpartition("/")[0] in manifests else MICRODATA,
                "path": f"{name}.{manifest.artifact.extension}",
                "repo_id": release.repo_id,
                "revision": release.version,
                **kind,
                "sha256": manifest.artifact.sha256,
                "size_bytes": manifest.artifact.size_bytes,
            }
            for name, manifest in sorted(manifests.items())
        },
    }


def _regions(manifests: Mapping[str, Manifest], defaults: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Type of region → template of the path of its files, for the types that have files."""
    found = {}
    national = defaults.get("national")
    if national is not None:
        found["national"] = {"path_template": f"{national}.{manifests[national].artifact.extension}"}
    for region, (folder, code) in REGION_FOLDERS.items():
        ends = {one.artifact.extension for name, one in manifests.items() if name.startswith(f"{folder}/")}
        if len(ends) == 1:
            found[region] = {"path_template": f"{folder}/{{{code}}}.{ends.pop()}"}
    return found


def _one_package(
    manifests: Mapping[str, Manifest], package_of: Callable[[Manifest], tuple[str | None, str | None]]
) -> dict[str, str] | None:
    """Name and version of the package that all files agree on; None if they name none."""
    found = {package_of(manifest): name for name, manifest in sorted(manifests.items())}
    if len(found) > 1:
        (first, at), (second, also) = list(found.items())[:2]
        raise InputError(
            f"release manifest: expected files built with one version, found {first[0]} {first[1]} "
            f"in {at} and {second[0]} {second[1]} in {also}; build the older ones again"
        )
    for name, version in found:
        if name and version:
            return {"name": name, "version": version}
    return None


def _compatible(
    claims: Iterable[str], model: Mapping[str, str] | None, core: Mapping[str, str] | None
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What is claimed of model and of core: the publisher's ranges, and the version that built the files."""
    claimed: dict[str, list[str]] = {CORE_PACKAGE: []}
    if model is not None:
        claimed[model["name"]] = []
    for claim in claims:
        name, specifier = _split(claim)
        package = name or (model["name"] if model else None)
        if package not in claimed:
            names = " or ".join(sorted(claimed, reverse=True))
            found = repr(claim) if name else f"{claim!r}, while the files name no model"
            raise InputError(f"release manifest: compatible: expected versions of {names}, found {found}")
        claimed[package].append(specifier)
    for built in (model, core):
        if built is not None and not any(covers(one, built["version"]) for one in claimed[built["name"]]):
            claimed[built["name"]].append(f"=={built['version']}")
    rows = {name: [{"name": name, "specifier": one} for one in ranges] for name, ranges in claimed.items()}
    return rows[model["name"]] if model else [], rows[CORE_PACKAGE]


def _split(claim: str) -> tuple[str | None, str]:
    """Name of the package, if there is one, and specifier."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    found = _CLAIM.fullmatch(claim)
    specifier = found["specifier"].strip() if found else ""
    try:
        parsed = SpecifierSet(specifier)
    except InvalidSpecifier:
        parsed = None
    if found is None or not parsed:
        raise InputError(
            f"release manifest: compatible: expected a version specifier such as '>=2.2,<3', or one with the name of "
            f"its package, found {claim!r}"
        )
    return found["name"], specifier

"""The `release_manifest.json` of the old publishing path, for consumers that have not switched.

The form is the old one: `schema_version`, `data_package`, `compatible_model_packages`,
`compatible_core_packages`, `default_datasets`, `build`, and `artifacts` by path without extension,
each with `kind`, `path`, `repo_id`, `revision`, `sha256` and `size_bytes`. Everything in it comes
from the manifests of the files; nothing is read again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError

SCHEMA_VERSION = 1
MICRODATA = "microdata"
CORE_PACKAGE = "policyengine-core"


@dataclass(frozen=True, slots=True)
class Release:
    """What the files themselves do not say about a release."""

    package: str
    """Name of the data package."""
    version: str
    """Of the data package; also the revision under which the old layout is found."""
    repo_id: str
    """Repository that holds the old layout, `owner/name`."""
    build_id: str
    built_at: str
    """UTC."""
    collection: str
    """Address of the same files in the store."""
    default_datasets: Mapping[str, str]
    """Role → artifact key; keys that no file has are left out."""


def release_manifest(manifests: Mapping[str, Manifest], release: Release) -> dict[str, object]:
    """The document for files by relative name without extension (`states/AL`).

    Raises:
        InputError: if the files were not all built with the same model.
    """
    defaults = {role: key for role, key in release.default_datasets.items() if key in manifests}
    build: dict[str, object] = {
        "build_id": release.build_id,
        "built_at": release.built_at,
        "metadata": {"pipeline_run_id": release.build_id, "collection": release.collection},
    }
    model = _one_package(manifests, lambda m: (m.build.model_package, m.build.model_version))
    core = _one_package(manifests, lambda m: (CORE_PACKAGE, m.build.tools.get(CORE_PACKAGE)))
    if model:
        build["built_with_model_package"] = model
    if core:
        build["built_with_core_package"] = core
    return {
        "schema_version": SCHEMA_VERSION,
        "data_package": {"name": release.package, "version": release.version},
        "compatible_model_packages": _exactly(model),
        "compatible_core_packages": _exactly(core),
        "default_datasets": defaults,
        "build": build,
        "artifacts": {
            name: {
                "kind": MICRODATA,
                "path": f"{name}.{manifest.artifact.extension}",
                "repo_id": release.repo_id,
                "revision": release.version,
                "sha256": manifest.artifact.sha256,
                "size_bytes": manifest.artifact.size_bytes,
            }
            for name, manifest in sorted(manifests.items())
        },
    }


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


def _exactly(package: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"name": package["name"], "specifier": f"=={package['version']}"}] if package else []

"""Check that data and model version fit each other.

The one that built it, or one whose data build has the same fingerprint. Nothing else is guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

from pe_data.certify.checks import Nominated
from pe_data.certify.release import Basis
from pe_data.errors import CertificationError
from pe_data.names.digests import sha256_bytes


@dataclass(frozen=True, slots=True)
class Model:
    """For which version of the model a release holds, and why."""

    package: str
    built_with: str
    certified_for: str
    basis: Basis
    fingerprint: str | None


def compatible(nominated: Sequence[Nominated], version: str | None, fingerprint: str | None) -> Model:
    """Whether the data holds for the wanted version of the model.

    Args:
        version: The one to certify for; None for the installed one.
        fingerprint: Of the data build with that version, if it is known.

    Raises:
        CertificationError: it does not, or nobody can say.
    """
    package, built_with = model_of(nominated)
    own = _fingerprint(nominated)
    wanted = version or _installed(package)
    if wanted is None:
        raise CertificationError(
            f"{package}: expected the version to certify for, found none: it is not installed here. Say --model-version"
        )
    if wanted == built_with:
        return Model(package, built_with, wanted, "exact_build_model_version", own)
    if fingerprint is not None and fingerprint == own:
        return Model(package, built_with, wanted, "matching_data_build_fingerprint", own)
    raise CertificationError(
        f"{package}: the data was built with version {built_with}, and should be certified for {wanted}: expected the "
        f"same version, or a model with the data-build fingerprint {own or '(the manifests have none)'}, found "
        f"{fingerprint or 'no fingerprint'}. Build the data again with {package} {wanted}"
    )


def _fingerprint(nominated: Sequence[Nominated]) -> str | None:
    """The data-build fingerprint of all files: the one that they share, else a digest over theirs by name."""
    found = {file.name: file.manifest.build.data_build_fingerprint for one in nominated for file in one.files}
    if None in found.values():
        return None
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return sha256_bytes("".join(f"{name} {text}\n" for name, text in sorted(found.items())).encode())


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def model_of(datasets: Iterable[Nominated]) -> tuple[str, str]:
    """Package and version of the model that built every file.

    Raises:
        CertificationError: a manifest does not say, or two say different things.
    """
    found: dict[tuple[str, str], str] = {}
    for one in (file for dataset in datasets for file in dataset.files):
        build = one.manifest.build
        if not build.model_package or not build.model_version:
            raise CertificationError(
                f"{one.uri}: build.model_version: expected the model that built it, found none in its manifest. "
                "It cannot be certified for any; publish it with the sidecar of its build"
            )
        found.setdefault((build.model_package, build.model_version), one.name)
    if len(found) != 1:
        text = "; ".join(f"{name} with {' '.join(model)}" for model, name in sorted(found.items())) or "no files"
        raise CertificationError(f"expected files built with one model version, found {text}. Build them again")
    return next(iter(found))

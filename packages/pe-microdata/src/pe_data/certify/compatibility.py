"""Check that data and model version fit each other.

The version that built it, one whose data build has the same fingerprint, or one that the publisher claims. Nothing else
is guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

from pe_data.certify.checks import Nominated
from pe_data.certify.published import Published
from pe_data.certify.release import Basis
from pe_data.errors import CertificationError
from pe_data.write.release_manifest import CORE_PACKAGE, covers, data_build_fingerprint

BUNDLE_PIN = "bundle_pin"
"""Instead of a version of the core: whatever the bundle pins."""


@dataclass(frozen=True, slots=True)
class Model:
    """For which version of model and core a release holds, and why."""

    package: str
    built_with: str
    certified_for: str
    basis: Basis
    fingerprint: str | None
    core: str | None
    """None for the one that the bundle pins."""


def compatible(
    built: tuple[str, str],
    nominated: Sequence[Nominated],
    published: Published,
    version: str | None,
    fingerprint: str | None,
    core_version: str | None,
) -> Model:
    """Whether the data holds for the wanted version of the model, and of the core.

    Args:
        built: Package and version of the model that built it, as `model_of` says.
        published: Has the publisher's claims.
        version: The one to certify for; None for the installed one.
        fingerprint: Of the data build with that version, if it is known.
        core_version: The same of the core; `bundle_pin` to name none.

    Raises:
        CertificationError: it does not, or nobody can say.
    """
    package, built_with = built
    own = _fingerprint(nominated)
    wanted = _wanted(package, version, "--model-version")
    claims = published.claims(package)
    basis: Basis
    if wanted == built_with:
        basis = "built_with_model_package"
    elif fingerprint is not None and fingerprint == own:
        basis = "matching_data_build_fingerprint"
    elif any(covers(one, wanted) for one in claims):
        basis = "legacy_compatible_model_package"
    else:
        raise CertificationError(
            f"{package}: the data was built with version {built_with}, and should be certified for {wanted}: expected "
            f"the same version, one that the publisher claims ({', '.join(claims) or 'nothing'}), or a model with the "
            f"data-build fingerprint {own or '(the manifests have none)'}, found {fingerprint or 'no fingerprint'}. "
            f"Build the data again with {package} {wanted}"
        )
    return Model(package, built_with, wanted, basis, own, _core(nominated, published, core_version))


def _core(nominated: Sequence[Nominated], published: Published, version: str | None) -> str | None:
    if version == BUNDLE_PIN:
        return None
    wanted = _wanted(CORE_PACKAGE, version, f"--core-version, or --core-version {BUNDLE_PIN} to name none")
    built = {file.manifest.build.tools.get(CORE_PACKAGE) for one in nominated for file in one.files}
    claims = published.claims(CORE_PACKAGE)
    if built == {wanted} or any(covers(one, wanted) for one in claims):
        return wanted
    shown = ", ".join(sorted(one or "an unknown version" for one in built))
    raise CertificationError(
        f"{CORE_PACKAGE}: the data was built with {shown}, and should be certified for {wanted}: expected the same "
        f"version, or one that the publisher claims ({', '.join(claims) or 'nothing'}). Say another --core-version, or "
        f"{BUNDLE_PIN} to name none"
    )


def _wanted(package: str, version: str | None, option: str) -> str:
    found = version or _installed(package)
    if found is None:
        raise CertificationError(
            f"{package}: expected the version to certify for, found none: it is not installed here. Say {option}"
        )
    return found


def _fingerprint(nominated: Sequence[Nominated]) -> str | None:
    return data_build_fingerprint(
        {file.full_name: file.manifest.build.data_build_fingerprint for one in nominated for file in one.files}
    )


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
                f"{one.address}: build.model_version: expected the model that built it, found none in its manifest. "
                "It cannot be certified for any; publish it with the sidecar of its build"
            )
        found.setdefault((build.model_package, build.model_version), one.full_name)
    if len(found) != 1:
        text = "; ".join(f"{name} with {' '.join(model)}" for model, name in sorted(found.items())) or "no files"
        raise CertificationError(f"expected files built with one model version, found {text}. Build them again")
    return next(iter(found))

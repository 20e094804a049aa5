"""Check whether the data of a release is out of date, on a machine that never fetched anything.

A release is a data-release block (`data_release.json`), a bundle's manifest that has one or several inside or names
its certified artifact, or an installed package with such a file.
"""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.reading import is_earlier, parse_release
from pe_data.certify.release import OWN_KEY, DataRelease
from pe_data.errors import InputError, InvalidDocumentError, PeDataError
from pe_data.names.digests import read_named, strict_json
from pe_data.names.uri import StoreUri, parse_store_uri
from pe_data.read.options import Options
from pe_data.read.staleness import State, Verdict, check_pin

NAMES = ("data_release.json", "release_manifest.json")
"""Files of an installed package that are looked for."""


def check_release(release: str, options: Options) -> list[Verdict]:
    """One verdict for each dataset of a release, against its channel and the installed model.

    Args:
        release: A file, or the name of an installed package.

    Raises:
        InputError: there is no such file or package, or it has no release in it.
        InvalidDocumentError: the file is neither a data-release block nor a bundle's manifest.
    """
    path = _file_of(release)
    document = strict_json(read_named(path), what=str(path))
    blocks = [one for one in _inner(document) if isinstance(one, dict) and (OWN_KEY in one or is_earlier(one))]
    if blocks:
        return [verdict for one in blocks for verdict in _of_block(parse_release(one, str(path)), options)]
    return [_of_bundle(document, str(path), options)]


def _inner(document: Mapping[str, Any]) -> list[Any]:
    """Where a block may be: the document itself, or what a bundle keeps of one country or of several."""
    several = document.get("data_releases")
    return [document, document.get("data_release"), *(several.values() if isinstance(several, dict) else ())]


def _file_of(release: str) -> Path:
    path = Path(release)
    if path.is_file():
        return path
    try:
        files = metadata.files(release) or []
    except (metadata.PackageNotFoundError, ValueError):
        raise InputError(f"{release}: expected a file or an installed package, found neither") from None
    for file in files:
        if file.name in NAMES or file.parent.name == "release_manifests":
            return Path(str(file.locate()))
    raise InputError(f"package {release}: expected a file {' or '.join(NAMES)} in it, found none")


def _of_block(block: DataRelease | EarlierRelease, options: Options) -> list[Verdict]:
    """A collection is one dataset, whatever number of its members is pinned."""
    pins = {(pin.address.country, pin.address.dataset): pin.nominated for pin in block.pins.values()}
    return [
        check_pin(StoreUri(country, dataset, None, "latest", None), ours, options, block.model)
        for (country, dataset), ours in sorted(pins.items())
    ]


def _of_bundle(document: dict[str, Any], what: str, options: Options) -> Verdict:
    artifact, model = document.get("certified_data_artifact"), _model(document)
    uri = artifact.get("uri") if isinstance(artifact, dict) else None
    if not isinstance(uri, str):
        raise InvalidDocumentError(
            f"{what}: expected a data-release block, or a bundle's manifest with certified_data_artifact.uri, "
            "found neither"
        )
    try:
        address = parse_store_uri(uri)
    except PeDataError as error:
        return Verdict(
            uri, State.UNKNOWN, (f"only addresses of a store have a channel: {error}",), None, None, None, None
        )
    if address.sha256 is None:
        raise InvalidDocumentError(f"{what}: certified_data_artifact.uri: expected a pinned address, found {uri!r}")
    return check_pin(StoreUri(address.country, address.dataset, None, "latest", None), address.sha256, options, model)


def _model(document: dict[str, Any]) -> tuple[str, str] | None:
    """Package and version that a bundle is certified for, as far as it says both."""
    package, held = document.get("model_package"), document.get("certification")
    name = package.get("name") if isinstance(package, dict) else package
    version = held.get("certified_for_model_version") if isinstance(held, dict) else None
    if version is None and isinstance(package, dict):
        version = package.get("version")
    return (name, version) if isinstance(name, str) and isinstance(version, str) else None

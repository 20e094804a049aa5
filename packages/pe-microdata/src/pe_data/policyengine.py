"""Files of a store as datasets of the package `policyengine`, which has to be installed beside this one.

    import policyengine as pe
    from pe_data.policyengine import ensure_datasets

    datasets = ensure_datasets(
        datasets=["pe-data://us/local_areas/districts/NC-01@latest"], years=[2026], allow_unmanaged=True
    )
    simulation = pe.Simulation(dataset=datasets["NC-01_2026"], tax_benefit_model_version=pe.us.model)

Such a dataset is no part of the bundle that the package was released with, and whoever asks for one says so
(`allow_unmanaged`). The package keeps one file per year, under the name of the file that it was made from, and does not
look whether that file has changed. So a file gets a name that carries its digest.

`resolve` is the entry point `policyengine.dataset_resolvers`, for releases of the package that read it: see
docs/neighbours.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pe_data.errors import CacheError, InputError, MissingExtraError
from pe_data.files.atomic import beside
from pe_data.names.uri import StoreUri, parse_store_uri
from pe_data.read.locate import Target, target
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.resolver import ensure_with
from pe_data.read.revocations import Revocations

PACKAGE = "policyengine"
OWN_KEY = "pe_data"
"""Of what is ours in a dataset's metadata and in a run record."""
YEARS = (2024, 2025, 2026, 2027, 2028)


def ensure_datasets(
    datasets: Sequence[str] | None = None,
    years: Sequence[int] = YEARS,
    data_folder: str = "./data",
    allow_unmanaged: bool = False,
) -> dict[str, Any]:
    """`ensure_datasets` of the country's module of `policyengine`, for addresses of a store.

    Store, cache and mirrors are those of the environment and the configuration, as for `pe_data.ensure`.

    Args:
        datasets: `pe-data://` addresses of H5 files of one country.
        years: The years to have; the country model ages the data.
        data_folder: Where the package keeps its files per year.
        allow_unmanaged: Has to be True: the files are no part of the package's bundle.

    Returns:
        `{name}_{year}` (`NC-01_2026`) → the package's own dataset. Its `metadata["pe_data"]` has address, sha256,
        digest of the manifest, and what was known about a revocation.

    Raises:
        InputError: bundle enforcement was not given up, there is no address, two files have one name, countries are
            mixed, or an address is not that of an H5 file.
        MissingExtraError: `policyengine` with that country is not installed.
        PeDataError: whatever `pe_data.ensure` raises.
    """
    if isinstance(datasets, str) or not datasets:
        raise InputError(
            f"datasets: expected a list of pe-data:// addresses, found {datasets!r}. The default of {PACKAGE} is "
            "had from its own ensure_datasets"
        )
    if not allow_unmanaged:
        raise InputError(
            f"datasets: {datasets[0]} is no part of the bundle that {PACKAGE} was released with: expected "
            "allow_unmanaged=True, by which you say that you know, found False"
        )
    uris = [parse_store_uri(address) for address in datasets]
    countries = sorted({uri.country for uri in uris})
    if len(countries) > 1:
        raise InputError(f"datasets: expected addresses of one country, found {' and '.join(countries)}")
    names: dict[str, StoreUri] = {}
    for uri in uris:
        if names.setdefault(uri.name, uri) != uri:
            raise InputError(
                f"datasets: expected different names, found {uri.name!r} for both {names[uri.name]} and {uri}. Ask for "
                "them in two calls"
            )
    neighbour = _neighbour(countries[0])
    options = Options.of()
    found = {name: _fetch(uri, options) for name, uri in names.items()}
    made = neighbour.ensure_datasets(
        datasets=[str(path) for path, _ in found.values()],
        years=list(years),
        data_folder=data_folder,
        allow_unmanaged=True,
    )
    result = {}
    for name, (path, facts) in found.items():
        for year in years:
            dataset = made[f"{path.stem}_{year}"]
            dataset.metadata[OWN_KEY] = dict(facts)
            result[f"{name}_{year}"] = dataset
    return result


def resolve(address: str) -> str:
    """The path of the verified file behind an address, under a name that carries its digest.

    Raises:
        InputError: it is not that of an H5 file.
        PeDataError: whatever `pe_data.ensure` raises.
    """
    return str(_fetch(parse_store_uri(address), Options.of())[0])


def run_record_extra(simulation: Any, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Arguments for `simulation.write_run_record`, by which the record binds where the data came from.

        simulation.write_run_record(folder, **run_record_extra(simulation))

    Args:
        simulation: Of a dataset that `ensure_datasets` gave.
        request: What else the record's request should say.

    Raises:
        InputError: the simulation's dataset has another origin.
    """
    facts = getattr(simulation.dataset, "metadata", {}).get(OWN_KEY)
    if not isinstance(facts, Mapping):
        raise InputError(
            f"simulation.dataset: expected a dataset of pe_data.policyengine.ensure_datasets, found one without "
            f"metadata[{OWN_KEY!r}]"
        )
    return {"request_payload": {**(request or {}), OWN_KEY: dict(facts)}}


def _neighbour(country: str) -> Any:
    """The package's module of a country."""
    try:
        found = getattr(import_module(PACKAGE), country, None)
    except ModuleNotFoundError as error:
        if error.name != PACKAGE:
            raise
        found = None
    if not hasattr(found, "ensure_datasets"):
        raise MissingExtraError(
            f"{PACKAGE}.{country}: expected the package {PACKAGE}[{country}] with ensure_datasets, found none. Install "
            "it beside pe-microdata; docs/neighbours.md says which version is tested"
        )
    return found


def _fetch(uri: StoreUri, options: Options) -> tuple[Path, dict[str, Any]]:
    """The file under its long name, and what is known of it."""
    found = target(uri, Places.of(uri, options))
    if found.is_collection or found.extension != "h5":
        kind = "a collection; name one of its members" if found.is_collection else f"a file of kind {found.extension}"
        raise InputError(f"{uri}: expected the address of an H5 file, found {kind}")
    pinned = parse_store_uri(found.pinned)
    path = _named(ensure_with(found.pinned, options), uri.name, options)
    facts = {
        "address": found.pinned,
        "asked_for": str(uri),
        "sha256": found.artifact_sha256,
        "manifest_sha256": found.manifest_sha256 if found.bound else None,
        "size_bytes": found.size_bytes,
        "revocation": _revocation(found, pinned, options),
    }
    return path, facts


def _revocation(found: Target, pinned: StoreUri, options: Options) -> dict[str, Any]:
    """What this machine knows, now that the file was fetched: nobody is asked again."""
    asked = Revocations(pinned, replace(options, offline=True))
    assert pinned.sha256 is not None, "it is pinned"
    revoked = asked.find(tuple(dict.fromkeys((pinned.sha256, found.artifact_sha256))), cached=True)
    if revoked is not None:
        return {"state": "revoked" if revoked.checked else "unchecked", "said": str(revoked.error(pinned))}
    kept = asked.kept
    if kept is None:
        return {"state": "unknown", "said": f"no revocation list of {pinned.country} could be checked here"}
    return {
        "state": "not revoked",
        "list_version": kept.version,
        "list_issued": kept.issued,
        "list_expires": kept.expires,
    }


def _named(payload: Path, name: str, options: Options) -> Path:
    """A link to a file of the cache whose name says name and digest."""
    link = options.cache.paths.named(payload, name)
    if "@" in str(link):
        raise CacheError(
            f"{link}: expected a cache folder without '@', which {PACKAGE} takes for a revision, found one. Say "
            "another with PE_DATA_CACHE"
        )
    to = Path("..", payload.parent.name, payload.name)
    try:
        if not link.is_symlink() or link.readlink() != to:
            link.parent.mkdir(parents=True, exist_ok=True)
            temporary = beside(link)
            temporary.symlink_to(to)
            temporary.replace(link)
    except OSError as error:
        raise CacheError(f"{link}: cannot be written: {error.strerror or error}. Say another PE_DATA_CACHE") from error
    return link

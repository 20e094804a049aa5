"""The components of an area's fingerprint, and which of them changed since its file was built."""

from local_h5.areas import did_you_mean
from local_h5.config.settings import Settings
from local_h5.errors import RequestError
from local_h5.requests import AreaBuildRequest
from local_h5.runs.forecast import Forecast
from local_h5.runs.staleness import read_built

MEANING = {
    "at_large_code": "how the file writes the district of its at-large seats (areas.at_large_code)",
    "blocks": "rows of the block tables that the area's household clones use",
    "rows": "rows of the dataset that the file has",
    "code": "code that decides values (comments, docstrings and messages do not count)",
    "config": "compression, take-up filter, scope and reports, year, text widths",
    "dictionary": "labels, units and entities of variables, which the file has in an attribute",
    "geography": "block and district of each of the area's household clones",
    "request": "the area's definition: type, id, name, filters, package",
    "snapshot": "the source dataset as the model loads it",
    "takeup": "the take-up rate that applies to each of the area's units",
    "validation": "what the area's structural checks demand",
    "versions": "policyengine-us, policyengine-core, numpy, h5py, HDF5, Python",
    "weights": "clone, household and weight of each of the area's rows",
}


def find_request(settings: Settings, name: str) -> AreaBuildRequest:
    """The area with an id (``NC-01``) or relative path (``districts/NC-01``).

    Raises:
        RequestError: there is none, or several.
    """
    wanted = name.removesuffix(".h5")
    found = [r for r in settings.requests if wanted in (r.area_id, r.name)]
    if len(found) != 1:
        guess = did_you_mean(wanted, settings.requests) or "`local-h5 areas` lists all."
        paths = [request.key for request in found]
        remedy = f"Give its path, such as {paths[0].removesuffix('.h5')}." if paths else guess
        raise RequestError(
            f"{name}: expected the id of one area of this run, found {', '.join(paths) or 'none'}. {remedy}"
        )
    return found[0]


def explain(settings: Settings, request: AreaBuildRequest, foreseen: Forecast) -> list[str]:
    """Each component of an area's fingerprint, now and as built, and whether a run would build its file: as lines."""
    status = foreseen.areas[request.key]
    built = status.built or read_built(settings.layout.output(request))[1]
    now = {} if foreseen.expected is None else foreseen.expected[request.key].components
    before = {} if built is None else built.components
    lines = [request.key]
    for name in sorted(now.keys() | before.keys()):
        digest = (now.get(name) or before[name])[:12]
        mark = "changed" if name in status.changed else ("" if name in before else "not built")
        lines.append(f"  {name:<13} {digest}  {mark:<9} {MEANING.get(name, '')}")
    if status.fault:
        lines.append(f"Would be built: {status.fault}.")
    elif status.changed:
        lines.append(f"Would be built: {', '.join(status.changed)} changed since the file was built.")
    elif foreseen.unknown:
        lines.append(f"It is not known yet whether it would be built: {foreseen.unknown}.")
    else:
        lines.append("Would be left untouched: file and sidecar agree, and nothing changed.")
    return lines

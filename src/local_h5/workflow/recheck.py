"""Structural checks of files that are there already: for records that were lost, or are of another file."""

from collections.abc import Iterable

from local_h5.build import PreparedInputs
from local_h5.errors import ResultError
from local_h5.prepared import open_prepared
from local_h5.requests import AreaBuildRequest
from local_h5.results import read_sidecar, sidecar_path, sidecar_text, write_sidecar
from local_h5.settings import Settings
from local_h5.validation.area import StructuralPolicy, validate_structure
from local_h5.validation.common_schema import common_schema
from local_h5.validation.records import of_sidecar, write_record


def check_again(settings: Settings, requests: Iterable[AreaBuildRequest]) -> dict[str, str]:
    """Check files as they are, and write their records; the verdict goes into the sidecar too.

    Args:
        settings: of the run; its prepared files hold.
        requests: areas whose file and sidecar agree.

    Returns:
        relative path → what is wrong with the sidecar, for those whose file could not be checked.
    """
    run = StructuralPolicy.from_config(settings.config)
    packages: dict[str, PreparedInputs] = {}
    faults = {}
    for request in requests:
        if request.package not in packages:
            folder = settings.prepared / request.package
            arrays = (folder / f"{name}.h5" for name in ("blocks", "clones", "takeup"))
            packages[request.package] = open_prepared(settings.prepared / "source_snapshot.h5", *arrays)
        h5 = settings.output(request)
        try:
            result = read_sidecar(sidecar_path(h5))
        except ResultError:
            faults[str(request.relative_path)] = "sidecar of another form"
            continue
        judged, record = validate_structure(h5, result, common_schema(packages[request.package]), run)
        write_record(settings.structural_record(request), of_sidecar(record, sidecar_text(judged)))
        if judged != result:
            write_sidecar(h5, judged)
    return faults

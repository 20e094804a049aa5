"""The job of one area: build it, check it, write the record and, last, the sidecar."""

from collections.abc import Callable
from pathlib import Path

from local_h5.build.area import BuildOptions, Provenance, build_area
from local_h5.contracts.config import Config
from local_h5.contracts.records import of_sidecar, write_record
from local_h5.contracts.results import AreaResult, Fingerprint, Phase, sidecar_text, write_sidecar
from local_h5.prepared.files import PreparedInputs
from local_h5.requests import AreaBuildRequest, output_path
from local_h5.validation.structural.common_schema import CommonSchema
from local_h5.validation.structural.verdict import StructuralPolicy, validate_structure


def run_area_job(
    request: AreaBuildRequest,
    inputs: PreparedInputs,
    folder: Path,
    record: Path,
    *,
    options: BuildOptions,
    fingerprint: Fingerprint | None,
    schema: CommonSchema,
    structural: StructuralPolicy,
    enter: Callable[[Phase], None] | None = None,
) -> AreaResult:
    """Build one area below ``folder``, in the published layout, and check its structure.

    A file that fails its checks is kept. The verdict is in the sidecar, and publishing depends on it.

    Args:
        request: the area.
        inputs: prepared, of the area's package.
        folder: output folder.
        record: record of the structural checks (JSON), to write.
        options: compression, take-up filter, at-large code.
        fingerprint: for the sidecar.
        schema: what every file of the run has (:func:`local_h5.validation.structural.common_schema.common_schema`).
        structural: policy and reference populations.
        enter: called with each phase as it begins: build (until the H5 has its name), validate, write (record and
            sidecar).

    Raises:
        RequestError, EmptySelectionError, InputError, WriteError: as :func:`local_h5.build.area.build_area`.
    """
    enter = enter or _ignore
    enter("build")
    result = build_area(request, inputs, folder, options=options, provenance=Provenance(fingerprint))
    enter("validate")
    path = output_path(folder, request.relative_path)
    result, found = validate_structure(path, result, schema, structural)
    enter("write")
    text = sidecar_text(result)
    write_record(record, of_sidecar(found, text))
    write_sidecar(path, result, text)
    return result


def options_from_config(config: Config) -> BuildOptions:
    """The choices of a configuration that concern every area."""
    return BuildOptions(*config.area_choices)


def _ignore(phase: Phase) -> None:
    pass

"""The state of a worker: the prepared files of a run, memory-mapped, and the run's options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from msgspec import Struct

from local_h5.build.area import BuildOptions
from local_h5.config.layout import Layout
from local_h5.contracts.config import Config
from local_h5.errors import ConfigError, PreparedError
from local_h5.files import forms
from local_h5.prepared.files import PreparedInputs, open_prepared
from local_h5.validation.structural.verdict import StructuralPolicy
from local_h5.worker.area_job import options_from_config


class WorkerState(Struct, frozen=True):
    """Shared by all areas of a worker; nothing in it is changed.

    Attributes:
        packages: name of a calibration package → its prepared inputs.
        structural: policy and reference populations.
        options: compression, take-up filter, at-large code.
    """

    packages: Mapping[str, PreparedInputs]
    structural: StructuralPolicy
    options: BuildOptions = BuildOptions()

    @classmethod
    def open(cls, results: Path) -> Self:
        """Open what a run has prepared.

        Args:
            results: its results folder; ``prepared`` below it holds the arrays and the resolved configuration. Paths
                in the configuration are relative to the current folder, as in the workflow.

        Raises:
            PreparedError: nothing is prepared there, or a file is damaged or of another version.
            ConfigError: the configuration is missing or malformed.
        """
        layout = Layout(results)
        if not any(layout.prepared.glob("*/clones.h5")):
            raise PreparedError(
                f"{layout.prepared}: expected the prepared files of a run (regional/clones.h5 and others), found none. "
                "Let the workflow prepare them: snakemake --cores 2 results/prepared/plan.json."
            )
        what = "the resolved configuration of a run"
        config = forms.read(layout.config, Config, ConfigError, what, "Run the workflow once.")
        packages: dict[str, PreparedInputs] = {}
        for name in config.inputs.packages:  # folders of packages that the run no longer has may lie beside them
            files = layout.package(name)
            opened = open_prepared(layout.snapshot, files.blocks, files.clones, files.takeup)
            first = next(iter(packages.values()), opened)
            packages[name] = PreparedInputs(first.snapshot, opened.blocks, opened.clones, opened.takeup)
        return cls(packages, StructuralPolicy.from_config(config.structural), options_from_config(config))

"""Fetch the pinned public files of one package into the cache, then copy some of them."""

import shutil
from pathlib import Path

from local_h5.errors import ConfigError
from local_h5.files.atomic import atomic_output
from local_h5.workflow.command import run
from local_h5_example.sources import fetch_package, load_sources


def fetch_public_file(path_to_sources: Path, package: str, path_to_cache: Path, paths_to_output: list[Path]) -> None:
    """Copy public files from the cache. Missing ones are first fetched from the package's wheel.

    Args:
        path_to_sources: table of pinned packages (``config/example_sources.yaml``).
        package: a name in that table.
        path_to_cache: folder of verified files; a file with the pinned digest is not fetched again.
        paths_to_output: files to write; each has the name of a pinned file of the package.

    Raises:
        ConfigError: unknown package or file name.
        DownloadError: no version gave the pinned bytes.
    """
    sources = load_sources(path_to_sources)
    if package not in sources:
        raise ConfigError(f"{path_to_sources}: packages: expected one of {', '.join(sources)}, found {package}")
    names = sources[package].files.keys()
    unknown = [path.name for path in paths_to_output if path.name not in names]
    if unknown:
        raise ConfigError(
            f"{path_to_sources}: packages.{package}.files: expected names among {', '.join(sorted(names))}, found "
            f"{', '.join(unknown)}"
        )
    cached = fetch_package(sources[package], path_to_cache)
    for path in paths_to_output:
        with atomic_output(path) as temporary:
            shutil.copyfile(cached[path.name], temporary)


if __name__ == "__main__":
    run(fetch_public_file)

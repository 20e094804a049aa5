"""Fetch the pinned public files of one package into the cache, then copy the ones asked for."""

import argparse
import shutil
import sys
from pathlib import Path

from local_h5.errors import ConfigError, LocalH5Error
from local_h5.example.sources import fetch_package, load_sources
from local_h5.files import atomic_output


def fetch_public_file(path_to_sources: Path, package: str, path_to_cache: Path, outputs: list[Path]) -> None:
    """Put each of ``outputs`` in place, from the cache or, when it is not there, from the package's wheel.

    Args:
        path_to_sources: table of pinned packages (``config/example_sources.yaml``).
        package: a name in that table.
        path_to_cache: folder of verified files; a file with the pinned digest is not fetched again.
        outputs: where the files go; each one's name is that of a pinned file of the package.

    Raises:
        ConfigError: unknown package or file name.
        DownloadError: no version gave the pinned bytes.
    """
    sources = load_sources(path_to_sources)
    if package not in sources:
        raise ConfigError(path_to_sources, field="packages", expected=f"one of {', '.join(sources)}", found=package)
    names = {file.name for file in sources[package].files}
    unknown = [path.name for path in outputs if path.name not in names]
    if unknown:
        raise ConfigError(
            path_to_sources,
            field=f"packages.{package}.files",
            expected=f"names among {', '.join(sorted(names))}",
            found=", ".join(unknown),
        )
    cached = fetch_package(sources[package], path_to_cache)
    for path in outputs:
        with atomic_output(path) as temporary:
            shutil.copyfile(cached[path.name], temporary)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True, help="table of pinned packages")
    parser.add_argument("--package", required=True, help="name of a package in that table")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps downloads")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to put in place")
    args = parser.parse_args()
    try:
        fetch_public_file(args.sources, args.package, args.cache, args.output)
    except LocalH5Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Pinned public files: each is a member of a wheel, and is accepted by its own sha256.

``pip download`` fetches a wheel, its pinned members are extracted, and the wheel is deleted. A cached file with the
right digest is never fetched again.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from local_h5.errors import ConfigError, DownloadError
from local_h5.files import forms
from local_h5.files.atomic import atomic_output, sha256_of
from local_h5.files.forms import Form, Sha256, Text

DOWNLOAD_SECONDS = 900
"""How long one wheel may take."""

_WHEEL_PYTHON = "3.12"


class PinnedFile(Form, frozen=True):
    """One public file.

    Attributes:
        holds: its content, in a few words.
        member: its path inside the wheel.
        size: bytes.
        sha256: hexadecimal digest.
    """

    holds: Text
    member: Text
    size: Annotated[int, Meta(ge=1)] = field(name="bytes")
    sha256: Sha256

    def is_at(self, path: Path) -> bool:
        """Whether ``path`` is this file, byte for byte."""
        return path.is_file() and path.stat().st_size == self.size and sha256_of(path) == self.sha256


FileName = Annotated[str, forms.matching("[A-Za-z0-9][A-Za-z0-9._-]*")]
Version = Annotated[str, forms.matching("[0-9][0-9A-Za-z.+!-]*")]


class PinnedPackage(Form, frozen=True):
    """A wheel that holds pinned files.

    Attributes:
        distribution: name on the package index.
        versions: tried in order.
        licence: of the files.
        files: the pinned ones, by their names in the cache.
    """

    distribution: FileName
    versions: Annotated[tuple[Version, ...], Meta(min_length=1)]
    licence: Text
    files: Annotated[Mapping[FileName, PinnedFile], Meta(min_length=1)]


class PinnedSources(Form, frozen=True):
    """Public files behind the example inputs, by package."""

    packages: Annotated[Mapping[str, PinnedPackage], Meta(min_length=1)]


Downloader = Callable[[str, str, Path], Path]
"""(distribution, version, folder) → the wheel in that folder; raises DownloadError."""


def load_sources(path: Path) -> Mapping[str, PinnedPackage]:
    """Read the table of pinned packages (``config/example_sources.yaml``).

    Raises:
        ConfigError: missing, no YAML, or of another form.
    """
    return forms.read_yaml(path, PinnedSources, ConfigError, "Correct the table.").packages


def fetch_package(package: PinnedPackage, cache: Path, download: Downloader | None = None) -> Mapping[str, Path]:
    """Make all pinned files of ``package`` present in ``cache``.

    Args:
        package: what to fetch.
        cache: folder of verified files; made when missing.
        download: fetches a wheel; by default :func:`pip_download`.

    Returns:
        File name → path in the cache. ``download`` is not called when every file is there with its digest.

    Raises:
        DownloadError: no version gave all files with their pinned digests; says why for each version.
    """
    download = download or pip_download
    missing = {name: file for name, file in package.files.items() if not file.is_at(cache / name)}
    reasons: list[str] = []
    for version in package.versions if missing else ():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".wheel-") as folder:
            try:
                wheel = download(package.distribution, version, Path(folder))
                for name in tuple(missing):
                    take_member(wheel, missing[name], cache / name)
                    del missing[name]
            except DownloadError as error:
                reasons.append(f"{version}: {error}")
        if not missing:
            break
    if missing:
        raise DownloadError(
            f"{package.distribution}: {', '.join(missing)}: expected the pinned bytes "
            f"from one of the versions {', '.join(package.versions)}, found {' | '.join(reasons)}. Check the "
            f"network, or put the files into {cache} by hand."
        )
    return {name: cache / name for name in package.files}


def take_member(wheel: Path, file: PinnedFile, target: Path) -> None:
    """Extract ``file`` from ``wheel``. ``target`` is written only with the pinned digest.

    Raises:
        DownloadError: no zip file, no such member, or another digest.
    """
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(file.member) as member,
            atomic_output(target) as temporary,
        ):
            with temporary.open("wb") as stream:
                shutil.copyfileobj(member, stream)
            found = sha256_of(temporary)
            if found != file.sha256:
                raise DownloadError(f"{wheel.name}: {file.member}: expected sha256 {file.sha256}, found {found}")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DownloadError(f"{wheel.name}: {file.member}: expected a file in the wheel, found {error}") from error


def pip_download(distribution: str, version: str, folder: Path) -> Path:
    """Fetch one wheel, without its dependencies, with this interpreter's pip.

    Raises:
        DownloadError: pip is missing or failed, or took longer than :data:`DOWNLOAD_SECONDS`.
    """
    requirement = f"{distribution}=={version}"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-deps", "--only-binary=:all:", "--python-version", _WHEEL_PYTHON),
        *("--dest", str(folder), requirement),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"{requirement}: expected a wheel within {DOWNLOAD_SECONDS} s, found no answer") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise DownloadError(
            f"{requirement}: expected one wheel from pip download, found "
            f"{said[-1][:300] if said else f'{len(wheels)} wheels, exit code {done.returncode}'}"
        )
    return wheels[0]

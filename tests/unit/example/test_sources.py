import hashlib
import zipfile
from pathlib import Path

import pytest

from local_h5.errors import ConfigError, DownloadError
from local_h5_example import sources
from local_h5_example.sources import PinnedFile, PinnedPackage, fetch_package, load_sources

ROOT = Path(__file__).parents[3]
CONTENT = {"a.csv": b"a\n1\n", "b.csv": b"b\n2\n"}


def package(*versions: str) -> PinnedPackage:
    files = {
        name: PinnedFile("a test", f"pkg/{name}", len(data), hashlib.sha256(data).hexdigest())
        for name, data in CONTENT.items()
    }
    return PinnedPackage("pkg", versions, "CC0-1.0", files)


class Index:
    """A package index in memory: version → members of its wheel."""

    def __init__(self, **wheels: dict[str, bytes]) -> None:
        self.wheels = wheels
        self.asked: list[str] = []

    def __call__(self, distribution: str, version: str, folder: Path) -> Path:
        self.asked.append(version)
        if version not in self.wheels:
            raise DownloadError(f"{distribution}=={version}: expected a wheel, found none")
        wheel = folder / f"{distribution}-{version}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, data in self.wheels[version].items():
                archive.writestr(f"pkg/{name}", data)
        return wheel


def test_files_come_from_the_first_version_and_nothing_else_stays(tmp_path: Path) -> None:
    index = Index(v1=CONTENT, v2=CONTENT)
    found = fetch_package(package("v1", "v2"), tmp_path, index)
    assert index.asked == ["v1"]
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_a_full_cache_never_asks_the_index(tmp_path: Path) -> None:
    fetch_package(package("v1"), tmp_path, Index(v1=CONTENT))
    index = Index()
    fetch_package(package("v1"), tmp_path, index)
    assert index.asked == []


def test_a_damaged_cached_file_is_fetched_again(tmp_path: Path) -> None:
    fetch_package(package("v1"), tmp_path, Index(v1=CONTENT))
    (tmp_path / "a.csv").write_bytes(b"x\n1\n")
    fetch_package(package("v1"), tmp_path, Index(v1=CONTENT))
    assert (tmp_path / "a.csv").read_bytes() == CONTENT["a.csv"]


def test_the_next_version_serves_when_one_is_gone_or_has_other_bytes(tmp_path: Path) -> None:
    index = Index(v2={"a.csv": CONTENT["a.csv"], "b.csv": b"b\n3\n"}, v3={"b.csv": CONTENT["b.csv"]})
    fetch_package(package("v1", "v2", "v3"), tmp_path, index)
    assert index.asked == ["v1", "v2", "v3"]
    assert (tmp_path / "b.csv").read_bytes() == CONTENT["b.csv"]


def test_no_good_version_is_one_line_that_names_each(tmp_path: Path) -> None:
    index = Index(v2={"a.csv": b"other", "b.csv": b"other"})
    with pytest.raises(DownloadError, match=r"v1: .*none.*v2: .*sha256") as caught:
        fetch_package(package("v1", "v2"), tmp_path, index)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pip_runs_with_the_promised_options_and_its_error_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "ERROR: no such version" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sources.sys, "executable", str(fake))
    with pytest.raises(DownloadError, match=r"pkg==1\.0.*ERROR: no such version"):
        sources.pip_download("pkg", "1.0", tmp_path)
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:3] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "pkg==1.0"} < set(asked)


def test_the_committed_table_is_valid_and_has_fallbacks() -> None:
    packages = load_sources(ROOT / "config" / "example_sources.yaml")
    assert {"taxcalc", "policyengine-us-data", "geosnap"} == set(packages)
    assert all(len(entry.versions) > 1 for entry in packages.values())
    assert next(iter(packages["taxcalc"].files)) == "cps.csv.gz"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("packages: {x: {distribution: x, versions: [], licence: y, files: {}}}", r"packages\.x"),
        ("packages: 3", "packages: "),
        ("packages: {x: {distribution: x, versions: ['1'], licence: y, files: {../a: {}}}}", r"packages\.x\.files"),
    ],
)
def test_a_wrong_table_names_the_place(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=field):
        load_sources(path)

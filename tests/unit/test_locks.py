"""The lock files are what the three pyproject.toml ask for, as the Makefile makes them; it takes no network to see."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("packages/*/pyproject.toml")))
PROJECTS = {file: tomllib.loads((ROOT / file).read_text()) for file in FILES}
NAMES = {project["project"]["name"]: file for file, project in PROJECTS.items()}


def recipes() -> dict[str, list[str]]:
    """Lock file → the words of the command that makes it, with the Makefile's variables filled in."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    values = dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE))
    made = {}
    for words in re.findall(r"^\tuv pip compile (.*)$", text, re.MULTILINE):
        command = shlex.split(re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], words))
        made[command[command.index("-o") + 1]] = command
    return made


def after(command: list[str], option: str) -> list[str]:
    return [command[number + 1] for number, word in enumerate(command) if word == option]


def asked(command: list[str]) -> Iterator[Requirement]:
    """What the pyproject.toml files of a command ask for, in its extras and groups; our own extras are followed."""
    extras, groups = after(command, "--extra"), after(command, "--group")
    projects = [PROJECTS[word] for word in command if word in FILES]
    known = {name for project in projects for name in project["project"].get("optional-dependencies", {})}
    assert known >= set(extras)
    waiting = [text for name in groups for text in PROJECTS["pyproject.toml"]["dependency-groups"][name]]
    for project in projects:
        waiting += project["project"]["dependencies"]
        waiting += [text for name in extras for text in _extra(project, name)]
    while waiting:
        requirement = Requirement(waiting.pop())
        file = NAMES.get(canonicalize_name(requirement.name))
        if file is None:
            yield requirement
        for extra in requirement.extras if file else ():
            waiting += _extra(PROJECTS[file], extra)


def _extra(project: dict[str, Any], name: str) -> list[str]:
    found: list[str] = project["project"].get("optional-dependencies", {}).get(name, [])
    return found


def pinned(lock: str) -> dict[str, Version]:
    """Name → version of every entry; each has a hash."""
    versions: dict[str, Version] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()):
        assert "--hash=sha256:" in entry, f"{lock}: {entry.splitlines()[0]} has no hash"
        requirement = Requirement(entry.partition("\\")[0])
        (exact,) = requirement.specifier
        assert exact.operator == "==", entry
        name = canonicalize_name(requirement.name)
        versions[name] = min(versions.get(name, Version(exact.version)), Version(exact.version))
    return versions


def missing(lock: str, command: list[str]) -> dict[str, str]:
    """What is asked for and not locked, or at a version that does not fit."""
    versions, found = pinned(lock), {}
    for requirement in asked(command):
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found[str(requirement)] = str(version)
    return found


LOCKS = recipes()
BUNDLE = _extra(PROJECTS["pyproject.toml"], "bundle")
"""The model and the core that policyengine.py pins."""


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_a_lock_has_what_pyproject_asks_for(lock: str) -> None:
    assert missing(lock, LOCKS[lock]) == {}, "make lock resolves them anew"


def test_every_lock_file_is_made() -> None:
    assert set(LOCKS) == {path.name for path in ROOT.glob("requirements*.lock")}


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_our_own_packages_are_in_no_lock(lock: str) -> None:
    assert not set(NAMES) & set(pinned(lock))
    assert not re.search(r"^(-e|\.|file:|/)|@ file:", (ROOT / lock).read_text(), re.MULTILINE)


def test_one_version_for_all_three_and_the_gateway_pins_the_reader() -> None:
    (version,) = {project["project"]["version"] for project in PROJECTS.values()}
    ours = {
        name: [text for text in PROJECTS[file]["project"]["dependencies"] if Requirement(text).name in NAMES]
        for name, file in NAMES.items()
    }
    assert ours == {"local-h5": [], "pe-microdata": [], "pe-microdata-gateway": [f"pe-microdata[site]=={version}"]}


NEIGHBOURS = "requirements-neighbours.lock"
ITS_OWN = {"policyengine-us", "policyengine-core", "spm-calculator", "microdf-python"}
"""What policyengine pins or bounds."""


def test_locks_agree_where_they_share_a_package() -> None:
    versions = {lock: pinned(lock) for lock in LOCKS}
    pair = {canonicalize_name(Requirement(text).name) for text in BUNDLE}
    for name in set().union(*versions.values()):
        elsewhere = {"requirements-bundle.lock": pair, NEIGHBOURS: ITS_OWN}
        kept = {
            found[name] for lock, found in versions.items() if name in found and name not in elsewhere.get(lock, ())
        }
        assert len(kept) <= 1, name
        if name in pair:
            bundle = versions["requirements-bundle.lock"][name]
            assert bundle not in kept, f"{name}: requirements-bundle.lock is for another version"
            assert bundle == versions[NEIGHBOURS][name], f"{name}: of the same bundle"


def test_the_lock_of_the_bundle_has_its_model_and_core() -> None:
    found = pinned("requirements-bundle.lock")
    exact = {canonicalize_name(item.name): str(item.specifier) for item in map(Requirement, BUNDLE)}
    assert exact == {name: f"=={found[name]}" for name in ("policyengine-us", "policyengine-core")}
    assert set(found) == set(pinned("requirements.lock"))


def test_the_lock_of_the_neighbours_has_the_package_of_the_page() -> None:
    found = str(pinned(NEIGHBOURS)["policyengine"])
    assert f"`policyengine` {found}" in (ROOT / "docs/neighbours.md").read_text()
    assert not any("policyengine" in text for text in PROJECTS[NAMES["pe-microdata"]]["project"]["dependencies"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("snakemake>=9.27,<10", "snakemake>=10"),
        ("numpy>=2.1", "numpy>=2.1,<2.2"),
        ("pyyaml>=6.0", "never-heard-of>=1"),
        ("platformdirs>=4.3", "never-heard-of>=1"),
    ],
)
def test_a_change_of_pyproject_is_seen(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = [file for file in FILES if old in (ROOT / file).read_text()][:1]
    monkeypatch.setitem(PROJECTS, file, tomllib.loads((ROOT / file).read_text().replace(old, new)))
    assert list(missing("requirements.lock", LOCKS["requirements.lock"])) == [str(Requirement(new))]

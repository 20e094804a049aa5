"""Three distributions: what each brings, what it does alone, and what is said of one that is not there."""

import ast
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path

import h5py
import numpy as np
import pytest

from pe_data import cli

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "local-h5": ROOT,
    "pe-microdata": ROOT / "packages/pe-microdata",
    "pe-microdata-gateway": ROOT / "packages/pe-microdata-gateway",
}
PACKAGES = {
    "local-h5": {"foreign_pickle", "local_h5", "local_h5_example", "snakemake_executor_plugin_warm"},
    "pe-microdata": {"pe_data"},
    "pe-microdata-gateway": {"pe_data_gateway"},
}
SCRIPT = ROOT / "scripts/publish_collection.py"
HEAVY = ["h5py", "numpy", "pandas", "pyarrow", "tuf", "securesystemslib", "starlette", "huggingface_hub"]
OURS = ["local_h5", "pe_data", "pe_data_gateway"]
GATEWAY_COMMANDS = {"audit", "serve", "token"}


def test_the_gateway_brings_its_commands() -> None:
    assert {entry.name for entry in entry_points(group=cli.GROUP)} == GATEWAY_COMMANDS
    for entry in entry_points(group=cli.GROUP):
        assert entry.value.startswith("pe_data_gateway.")
        assert entry.load().name == entry.name


@pytest.mark.parametrize("command", sorted(GATEWAY_COMMANDS))
def test_without_the_gateway_one_line_says_which_distribution_has_the_command(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    assert cli.run([command, "--help"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{command}: expected the distribution pe-microdata-gateway {version('pe-microdata')} beside" in said
    assert cli.run(["no-such-command"]) == 2
    assert cli.run(["--help"]) == 0
    assert not re.search(r"^  (audit|serve|token) ", capsys.readouterr().out, re.MULTILINE)


def test_another_distribution_cannot_take_the_name_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("looked elsewhere"))
    assert cli.run(["ensure", "--help"]) == 0


def test_without_the_reader_the_script_that_publishes_says_so_in_a_line() -> None:
    code = f"import runpy, sys; sys.modules['pe_data'] = None; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("pe_data: expected the distribution pe-microdata with its extra h5")


@pytest.mark.parametrize("folder", [folder for name, folder in FOLDERS.items() if name != "local-h5"])
def test_the_licence_is_that_of_the_project(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


INSTALL = re.compile(r"pip3? (?:install|download) +(?P<what>[^\n`]*)")
PLAIN = re.compile(r"(?<![\w./-])(?:pe-data|pe_data|pe-microdata(?:-gateway)?|local-h5)(?:\[|==|\s|['\"]|$)")


def texts(path: Path) -> Iterator[str]:
    """The texts of a module, pieces that stand beside each other put together."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_page_or_message_installs_one_of_these_names_from_an_index() -> None:
    """None of them is there, and one is somebody else's; only folders of a clone are named."""
    assert all(map(PLAIN.search, ("pe-data", "'pe-microdata[h5]'", "local-h5==1", "-U pe_data")))
    assert not PLAIN.search("./packages/pe-microdata ./packages/pe-microdata-gateway")
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/**/*.md")]
    code = [path for folder in (ROOT / "src", *ROOT.glob("packages/*/src")) for path in folder.rglob("*.py")]
    found = {
        f"{path.relative_to(ROOT)}: {line[0]}"
        for path in [*pages, *code]
        for text in (texts(path) if path.suffix == ".py" else [path.read_text(encoding="utf-8")])
        for line in INSTALL.finditer(text)
        if PLAIN.search(line["what"].partition("#")[0])
    }
    assert found == set()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel of each, made with the build backend of this environment."""
    folder = tmp_path_factory.mktemp("wheels")
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, *words, *map(str, FOLDERS.values())], check=True, timeout=300)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in FOLDERS}


@pytest.mark.slow
def test_each_wheel_holds_its_packages_alone(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as file:
            names = file.namelist()
        assert {top for top in (name.partition("/")[0] for name in names) if ".dist-info" not in top} == PACKAGES[name]
        assert [one for one in names if one.endswith("/licenses/LICENSE")]
    with zipfile.ZipFile(wheels["pe-microdata"]) as file:
        assert json.loads(file.read("pe_data/schemas/manifest.schema.json"))
        assert "pe_data/py.typed" in file.namelist()


@pytest.mark.slow
def test_the_source_distribution_of_the_root_leaves_the_others_out(tmp_path: Path) -> None:
    words = ["-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, timeout=300, capture_output=True)
    (made,) = tmp_path.glob("local_h5-*.tar.gz")
    with tarfile.open(made) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    assert "src/local_h5/__init__.py" in names
    assert [name for name in names if name.startswith("packages")] == []


class Environment:
    """A clean one with a wheel, and what it needs in the versions that are locked."""

    def __init__(self, folder: Path, wheel: Path, wheels: dict[str, Path]) -> None:
        self.bin = folder / "bin"
        locked = re.sub(r" \\\n( +--hash=\S+( \\\n)?)+", "\n", (ROOT / "requirements-dev.lock").read_text())
        constraints = folder.with_suffix(".txt")
        constraints.write_text(locked)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
        words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(constraints)]
        ours = ["--find-links", str(wheels["pe-microdata"].parent), str(wheel)]  # pip binds no extras to an address
        subprocess.run([self.bin / "python", *words, *ours], check=True, timeout=600)
        self.home = folder

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.home), "PE_DATA_STORE": str(self.home / "store")}
        command = [str(self.bin / words[0]), *words[1:]]
        return subprocess.run(
            command, env=environment, cwd=self.home, capture_output=True, text=True, timeout=120, check=False
        )

    def found(self, names: list[str]) -> list[str]:
        code = f"from importlib.util import find_spec; print(*[name for name in {names} if find_spec(name)])"
        return self.run("python", "-c", code).stdout.split()


@pytest.mark.slow
def test_the_builder_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    alone = Environment(tmp_path / "builder", wheels["local-h5"], wheels)
    assert alone.found(OURS) == ["local_h5"]
    assert alone.run("python", "-c", "from local_h5 import H5Builder, build_h5").stderr == ""
    assert alone.run("local-h5", "--help").returncode == 0
    assert not (alone.bin / "pe-data").exists()


@pytest.mark.slow
def test_the_reader_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    """It fetches and describes what another machine published; what it lacks it names in a line."""
    alone = Environment(tmp_path / "reader", wheels["pe-microdata"], wheels)
    assert alone.found([*OURS, *HEAVY]) == ["pe_data"]
    assert alone.run("pe-data", "--version").stdout.split()[-1] == version("pe-microdata")
    path = tmp_path / "people.h5"
    with h5py.File(path, "w") as file:
        file["person_id/2024"] = np.arange(3)
    words = ["publish", str(path), "us/people", "--licence", "CC0-1.0", "--store", str(alone.home / "store")]
    assert cli.run(words) == 0
    fetched = alone.run("pe-data", "ensure", "pe-data://us/people@latest")
    assert (fetched.returncode, fetched.stderr) == (0, "")
    assert Path(fetched.stdout.strip()).read_bytes() == path.read_bytes()
    assert "person_id" in alone.run("pe-data", "schema", "pe-data://us/people@latest").stdout
    missing = {
        ("publish", str(path), "us/other", "--licence", "CC0-1.0"): "the extra 'h5' of pe-microdata",
        ("export", "pe-data://us/people@latest", "--to", "csv", "--out", "out"): "the extra 'frames' of pe-microdata",
        ("ensure", "pe-data://us/people@next"): "the extra 'trust' of pe-microdata",
        ("ensure", "hf://a/b/c.h5@1"): "the extra 'hf' of pe-microdata",
        ("serve", "--help"): "the distribution pe-microdata-gateway",
    }
    for words, said in missing.items():
        done = alone.run("pe-data", *words)
        assert done.returncode == 1, words
        assert said in done.stderr, words
        assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_the_gateway_brings_the_reader(wheels: dict[str, Path], tmp_path: Path) -> None:
    alone = Environment(tmp_path / "gateway", wheels["pe-microdata-gateway"], wheels)
    assert alone.found([*OURS, "h5py"]) == ["pe_data", "pe_data_gateway"]
    assert alone.run("python", "-c", "import pe_data_gateway.serve, pe_data_gateway.audit.verify").stderr == ""
    for command in GATEWAY_COMMANDS:
        assert alone.run("pe-data", command, "--help").returncode == 0
    made = alone.run("pe-data", "token", "new", "ada@example.org", "--scope", "uk/*", "--tokens", "tokens.json")
    assert made.stdout.startswith("pedata_")

"""Paths of the configuration: one form, or refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sentence import parts_of

from local_h5.config.paths import PATHS, plain_path, with_plain_paths
from local_h5.contracts.config import Config
from local_h5.contracts.schemas import load_schema
from local_h5.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    for name in ("config", "src/local_h5", "inputs"):
        (folder / name).mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "elsewhere/deep")
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def set_key(config: dict[str, Any], key: str, value: str) -> dict[str, Any]:
    config = json.loads(json.dumps(config))
    *sections, last = key.split(".")
    part = config
    for name in sections:
        part = part[name]
    part[last] = value
    return config


REFUSED = {
    "~": "without ~", "~/res": "without ~", "~somebody/res": "without ~", "run{1}": "reads as a pattern",
    "a}b": "reads as a pattern", "<logs>/x": "reads as a pattern", "-out": "does not begin with -",
    "--help": "does not begin with -", "a\nb": "line breaks", "a\0b": "line breaks", "a\x1b[0m": "line breaks",
    "a\u2028b": "line breaks", " a": "spaces at its ends", "a ": "spaces at its ends", "\ud800": "UTF-8",
}  # fmt: skip


def checked(config: dict[str, Any]) -> Config:
    return with_plain_paths(Config.from_json(config, "my.yaml"), "my.yaml")


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("key", PATHS)
def test_what_a_shell_or_snakemake_would_read_is_refused_for_every_key(
    key: str, text: str, config: dict[str, Any], project: Path
) -> None:
    with pytest.raises(ConfigError, match=REFUSED[text]) as refused:
        checked(set_key(config, key, text))
    assert parts_of(refused.value).field == key
    assert str(refused.value).startswith(f"my.yaml: {key}: expected")


def test_every_path_of_the_schema_is_in_the_list() -> None:
    """A key with a path that is not in the list would reach a rule as it was written."""
    schema = load_schema("config")

    def walk(rules: dict[str, Any], place: str) -> list[str]:
        if "$ref" in rules:
            return walk(schema["$defs"][rules["$ref"].rpartition("/")[2]], place)
        if any(choice.get("format") == "path" for choice in rules.get("anyOf", [rules])):
            return [place]
        return [
            found
            for key, part in rules.get("properties", {}).items()
            for found in walk(part, f"{place}.{key}".lstrip("."))
        ]

    assert {*walk(schema, ""), "store.url"} == set(PATHS)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("./res/", "res"), ("res//a", "res/a"), ("../project/res", "res"), ("a/../res", "res"), ("../out", "../out"),
        ("/tmp//x/", "/tmp/x"), ("//tmp/x", "/tmp/x"), ("my res", "my res"), ("é $(x) & 'y'", "é $(x) & 'y'"),
        ("a/-b", "a/-b"), ("./-b", None), ("link/../x", None),
    ],
)  # fmt: skip
def test_one_path_is_written_in_one_way(text: str, plain: str | None, project: Path) -> None:
    if plain is None:
        with pytest.raises(ConfigError):
            plain_path(text, "my.yaml", "results")
    else:
        assert plain_path(text, "my.yaml", "results") == plain


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_a_plain_path_is_plain_and_the_same_file(text: str) -> None:
    try:
        plain = plain_path(text, "my.yaml", "inputs.weights")
    except ConfigError:
        return
    assert plain_path(plain, "my.yaml", "inputs.weights") == plain
    assert Path(plain).as_posix() == plain
    assert os.path.realpath(plain) == os.path.realpath(text)


@pytest.mark.parametrize(
    "results",
    [".", "./", "..", "/", "../..", "src", "src/local_h5", "config/x", ".git", ".snakemake/x", "inputs/w.npy"],
)
def test_results_that_hold_something_else_are_refused(results: str, config: dict[str, Any], project: Path) -> None:
    Path("inputs/w.npy").touch()
    with pytest.raises(ConfigError) as refused:
        checked(set_key(config, "results", results))
    assert parts_of(refused.value).field == "results"


@pytest.mark.parametrize("key", [key for key in PATHS if key not in ("results", "example.cache")])
def test_inputs_and_the_store_lie_outside_the_results(key: str, config: dict[str, Any], project: Path) -> None:
    with pytest.raises(ConfigError, match="outside the results folder 'results'"):
        checked(set_key(config, key, "results/kept"))
    checked(set_key(config, key, "results_2/kept"))


@pytest.mark.parametrize("text", ["s3://bucket/x", "https://example.org/w.npy", "file:///x"])
def test_only_the_store_may_be_an_address(text: str, config: dict[str, Any], project: Path) -> None:
    assert checked(set_key(config, "store.url", text)).store.url == text
    with pytest.raises(ConfigError, match="a path of this machine"):
        checked(set_key(config, "inputs.weights", text))

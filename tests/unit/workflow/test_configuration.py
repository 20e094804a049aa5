"""The configuration as Snakemake merges it."""

import copy
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_h5.cli import options_of
from local_h5.config.settings import Settings, merge
from local_h5.errors import ConfigError
from local_h5.files.digests import DigestMemo
from local_h5.runs.steps import declared_steps
from local_h5.workflow.configuration import load_settings, parse_overrides, read_config

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cli() -> ModuleType:
    """Snakemake's own command line."""
    return pytest.importorskip("snakemake.cli")


def test_mappings_are_merged_and_lists_replaced() -> None:
    under = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert merge(under, {"a": {"c": [3]}, "e": 5}) == {"a": {"b": 1, "c": [3]}, "d": 4, "e": 5}


def test_files_and_overrides_lie_on_top_of_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text("results: elsewhere\noutput: {compression: gzip}\n")
    settings = load_settings([mine], ["output={compression: lzf}"])
    assert settings.results == Path("elsewhere")
    assert settings.config.output.compression == "lzf"


def test_rules_for_missing_values_take_codes_as_text_or_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    params = []
    for text in ('{"-1": false, "NaN": true}', "{-1: false, .nan: true}", "{-1: true, .nan: true}"):
        mine.write_text(f"inputs: {{missing: {{is_female: {text}}}}}\n")
        settings = load_settings([mine])
        json.dumps(settings.config.to_json(), sort_keys=True, allow_nan=False)  # as a run keeps it
        assert settings.missing.rules["is_female"].keys() == {"-1", "NaN"}
        step = declared_steps(settings, DigestMemo(None))["snapshot"]
        params.append(step.params)
    assert params[0] == params[1]
    assert params[0] != params[2]  # the source is prepared again


@pytest.mark.parametrize(
    "text", ["is_female", "[is_female]", "{is_female: -1}", "{is_female: {-1: [0]}}", "{is_female: {-1: null}}"]
)
def test_a_malformed_rule_for_missing_values_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"inputs: {{missing: {text}}}\n")
    with pytest.raises(ConfigError, match=r"inputs\.missing"):
        load_settings([mine])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("results", "expected KEY=VALUE, found results"),
        ("notes={", "notes: expected object, found '{'"),
        ("no=1", "no"),
    ],
)
def test_a_malformed_override_is_named(override: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=message):
        load_settings([], [override])


PLAIN = st.recursive(
    st.sampled_from(
        ["1", "0x10", "1e3", ".5", "true", "no", "null", "~", "''", "a b", "[1", "{a", "02013", "nan", "x: y"]
    )
    | st.text("0123456789.eE+-_truefalsn~'\" {}[],:#", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from(["aa", "bb", "results"]), PLAIN), max_size=4))
def test_overrides_are_read_as_snakemake_reads_them(cli: ModuleType, pairs: list[tuple[str, str]]) -> None:
    entries = [f"{key}={value}" for key, value in pairs]
    try:
        expected = cli.parse_config(entries)
    except AssertionError:  # a value that is a mere comment
        with pytest.raises(ConfigError):
            parse_overrides(entries)
        return
    # nan is not equal to itself, so the texts of both are compared
    assert repr(parse_overrides(entries)) == repr(expected)


NESTED = st.recursive(
    st.sampled_from([None, 0, 1, "", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), NESTED), st.dictionaries(st.sampled_from("abc"), NESTED))
def test_mappings_are_merged_as_snakemake_merges_them(
    cli: ModuleType, under: dict[str, object], over: dict[str, object]
) -> None:
    expected = copy.deepcopy(under)
    cli.update_config(expected, copy.deepcopy(over))
    assert merge(under, over) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "results: x\nexample: {clones: 10, seed: 0x10}\n"),
        ("a.json", '{"results": "x", "n": 1e3}'),
        ("json-in.yaml", '{"results": "x",\t"n": null}'),
        ("yte.yaml", "__use_yte__: true\nresults: ?'a' + 'b'\n"),
        ("no-yte.yaml", "__use_yte__: false\nresults: ?x\n"),
    ],
)
def test_files_are_read_as_snakemake_reads_them(name: str, text: str, tmp_path: Path) -> None:
    configfile = pytest.importorskip("snakemake.common.configfile")
    path = tmp_path / name
    path.write_text(text)
    assert read_config(path) == configfile.load_configfile(path)


def test_a_malformed_file_is_named_with_its_line_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("areas:\n  custom: []\n  - id: x\n")
    with pytest.raises(ConfigError) as refused:
        read_config(path)
    assert "found expected <block end>, but found '-' in line 3, column 3" in str(refused.value)
    assert "unicode string" not in str(refused.value)
    path.write_bytes(b"results: caf\xe9\n")
    with pytest.raises(ConfigError, match="bytes that are no UTF-8"):
        read_config(path)


OVERRIDES = {
    "validation={enabled: false}": ("validation", "enabled", False),
    "validation={persons_per_run: 10000}": ("validation", "persons_per_run", 10000),
    "validation={max_rel_abs_error: 0.1}": ("validation", "max_rel_abs_error", 0.1),
    "validation={include: [{stratum: 1024, variable: ['12'], reform: no}]}": (
        "validation", "include", [{"stratum": 1024, "variable": ["12"], "reform": False}]
    ),
    "validation={sanity_ceilings: {'*': 1.5}}": ("validation", "sanity_ceilings", {"*": 1.5}),
    "takeup={filter: null}": ("takeup", "filter", None),
    "takeup={filter: [null, '1']}": ("takeup", "filter", ["null", "1"]),
    "example={seed: 7, zero_share: 0}": ("example", "seed", 7),
    "notes={year: 2024}": ("notes", "year", "2024"),
    "inputs={weights: ~, targets: null}": ("inputs", "weights", None),
    "areas={custom: [{id: '01', filters: [{field: county, op: eq, value: 02013}]}]}": (
        "areas", "custom", [{"id": "01", "filters": [{"field": "county", "op": "eq", "value": "02013"}]}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("override", OVERRIDES)
def test_values_inside_sections_mean_what_they_mean_in_a_file(
    cli: ModuleType, override: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    section, key, value = OVERRIDES[override]
    settings = load_settings([], [override])
    assert settings.config.to_json()[section][key] == value
    assert type(settings.config.to_json()[section][key]) is type(value)
    # as a Snakefile sees it
    config = read_config(Path("config/config.yaml"))
    given = cli.parse_config([override])
    cli.update_config(config, given)
    assert Settings.load(config, overrides=given).config == settings.config


def test_a_text_in_a_file_stays_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text('validation: {enabled: "false"}\n')
    with pytest.raises(ConfigError, match="enabled: expected boolean, found 'false'"):
        load_settings([mine])


@pytest.mark.parametrize(
    ("line", "files", "values"),
    [
        ("--configfile a.yaml b.yaml", ["a.yaml", "b.yaml"], []),
        ("--configfiles a.yaml b.yaml --config x=1 y=2", ["a.yaml", "b.yaml"], ["x=1", "y=2"]),
        ("--configfile=a.yaml -C x=1", ["a.yaml"], ["x=1"]),
        ("--config x=1 --config y=2 --configfile a.yaml --format json", ["a.yaml"], ["y=2"]),
        ("--config --format json", [], []),
        ("", [], []),
    ],
)
def test_options_are_taken_as_snakemake_takes_them(
    cli: ModuleType, line: str, files: list[str], values: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        Path(name).touch()
    options = line.replace("--format json", "").split()
    as_snakemake = cli.get_argument_parser().parse_args(options)
    assert ([str(path) for path in as_snakemake.configfile], as_snakemake.config or []) == (files, values)
    params = options_of(["plan", *line.split()])
    assert ([str(path) for path in params["configfiles"]], params["overrides"]) == (files, values)


def test_an_area_may_follow_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").touch()
    for line in (
        "NC-01 --configfile a.yaml",
        "--configfile a.yaml NC-01",
        "--config x=1 --configfile a.yaml -- NC-01",
        "--configfile a.yaml --config x=1 NC-01",
        "--configfile a.yaml --config NC-01",
        "--config x=1 --configfile a.yaml NC-01",
    ):
        params = options_of(["explain", *line.split()])
        assert (params["area"], [str(path) for path in params["configfiles"]]) == ("NC-01", ["a.yaml"])


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("ouptut={compression: lzf}", "output"),
        ("validation={enabeld: true}", "enabled"),
        ("inputs={weigths: x}", "weights"),
    ],
)
def test_a_misspelt_key_is_named_with_the_one_that_was_meant(
    override: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=f"Did you mean {meant}?"):
        load_settings([], [override])


def test_outside_the_project_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="Run in the folder that holds the Snakefile"):
        load_settings()

"""What may have been meant by a name that does not exist."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from local_h5.config.settings import Settings, merge
from local_h5.errors import ConfigError
from local_h5.suggestions import completions, did_you_mean, folded, nearest
from local_h5.workflow.configuration import read_config

ROOT = Path(__file__).parents[2]
NAMES = ["max_rel_error", "max_rel_abs_error", "min_targets", "at_large_code", "dataset_sha256"]


def test_both_distributions_have_the_same_module() -> None:
    ours = ROOT / "src" / "local_h5" / "suggestions.py"
    assert ours.read_bytes() == (ROOT / "packages/pe-microdata/src/pe_data/suggestions.py").read_bytes()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Max-Rel-Error", ["max_rel_error"]),
        ("maxrelerror", ["max_rel_error", "max_rel_abs_error"]),
        ("MIN_TARGET", ["min_targets"]),
        ("dataset-sha256", ["dataset_sha256"]),
        ("atlargecode", ["at_large_code"]),
        ("weights", []),
        ("", []),
    ],
)
def test_nearest(name: str, found: list[str]) -> None:
    assert nearest(name, NAMES) == found


@given(st.sampled_from(NAMES), st.data())
def test_capitals_and_hyphens_make_no_difference(name: str, data: st.DataObject) -> None:
    signs = [data.draw(st.sampled_from([one.upper(), one, "-" if one == "_" else one])) for one in name]
    assert did_you_mean("".join(signs), NAMES) == f"Did you mean {name}?"


@given(st.text(string.printable, max_size=60))
def test_folding_twice_is_folding_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"Results": "x"}, "Did you mean results?"),
        ({"inputs": {"Weights": None}}, "Did you mean weights?"),
        ({"inputs": {"dataset-sha256": None}}, "Did you mean dataset_sha256?"),
        ({"validation": {"ON-FAILURE": {}}}, "Did you mean on_failure?"),
        ({"validation": {"population": {"max-rel-eror": 1}}}, "Did you mean max_rel_error?"),
        ({"areas": {"cities": ["nyc"]}}, "Did you mean NYC?"),
        ({"areas": {"cities": ["new-york city"]}}, "Did you mean NYC?"),
    ],
)
def test_keys_and_cities_of_a_configuration(given_: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = merge(read_config(Path("config/config.yaml")), given_)
    with pytest.raises(ConfigError) as caught:
        Settings.load(yaml.safe_load(json.dumps(config)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("begun", "found"),
    [
        ("nc-0", ["NC-01", "NC-02"]),
        ("NC_01", ["NC-01"]),
        ("dis", ["districts/NC-01"]),
        ("x", []),
        ("", ["NC-01", "NC-02"]),
    ],
)
def test_completions(begun: str, found: list[str]) -> None:
    assert completions(begun, ["NC-01", "NC-02", "NC-01"], ["districts/NC-01"]) == found

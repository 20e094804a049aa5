"""The published schemas are those of the structures, and say of a document what reading it says."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator

from local_h5.contracts import schemas
from local_h5.contracts.config import Config
from local_h5.errors import LocalH5Error
from local_h5.files import forms

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "schemas"
COMMITTED = sorted([*FOLDER.rglob("*.schema.json"), *ROOT.glob("packages/*/src/*/schemas/*.schema.json")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_schemas_are_those_of_the_structures(generate: ModuleType) -> None:
    committed = {path: path.read_text() for path in COMMITTED}
    made = {generate.path_of(name): generate.schema_text(name) for name in generate.DOCUMENTS}
    assert committed == made, "make schemas"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_schema_is_one(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert "(?!\\n)" not in path.read_text()
    unused = [name for name in schema.get("$defs", {}) if f'"#/$defs/{name}"' not in path.read_text()]
    assert unused == []


SHIPPED = {
    "config": ["config/config.yaml"],
    "example_sources": ["config/example_sources.yaml"],
    "model_facts": [f"src/local_h5/defaults/models/{version}.yaml" for version in ("2.2.1", "2.68.0")],
    "takeup_programmes": ["config/takeup/programmes.yaml"],
    "takeup_programme": sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob("config/takeup/*.yaml") if path.stem != "programmes"
    ),
    "variable_rules": ["config/variables.yaml"],
}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_satisfies_schema_and_structure(name: str, generate: ModuleType) -> None:
    for file in SHIPPED[name]:
        data = forms.read_yaml(ROOT / file, dict[str, Any], LocalH5Error, "")
        schemas.check(name, data, file, LocalH5Error)
        forms.convert(data, generate.DOCUMENTS[name].kind, file, LocalH5Error)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))


WRONG = [
    ("results", ""), ("results", 3), ("results", None), ("container", "a b"), ("notes", {"a": 1}),
    ("inputs.dataset_sha256", "a" * 63), ("inputs.dataset_sha256", "A" * 64), ("inputs.weights", ""),
    ("inputs.missing", {"Is": {"1": 1}}), ("inputs.missing", {"is": {"1": None}}), ("inputs.more", 1),
    ("areas.custom", [{"id": "../a", "filters": [{}]}]), ("areas.custom", [{"id": "a", "filters": []}]),
    ("areas.cities", "NYC"), ("takeup.filter", [1]), ("output.compression", "zip"), ("store.licence", "unspecified"),
    ("example.households", 99), ("example.households", 100.5), ("example.zero_share", 1), ("example.clones", True),
    ("validation.include", [{}]), ("validation.include", [{"stratum": "1"}]), ("validation.include", [{"area_id": []}]),
    ("validation.overrides", [{"variable": "snap"}]), ("validation.on_failure", {"structural": "fail"}),
    ("validation.sanity_ceilings", {"snap": 0}), ("validation.processes", 0), ("validation.max_share_failing", 1.01),
]  # fmt: skip
RIGHT = [
    ("container", "docker://local-h5"), ("inputs.dataset_sha256", "a" * 64), ("inputs.missing", {"is": {"-1": False}}),
    ("areas.custom", [{"id": "a", "filters": [{"field": "county"}]}]), ("store.licence", "CC0-1.0"),
    ("example.zero_share", 0), ("validation.include", [{"stratum": [1, 2], "reform": True}, {"area_type": "state"}]),
    ("validation.overrides", [{"min_targets": 0}]), ("validation.population", {"table": None, "max_rel_error": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [*WRONG, *RIGHT], ids=str)
def test_schema_and_structure_refuse_the_same(key: str, value: Any, config: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(config))
    *sections, last = key.split(".")
    section = changed
    for name in sections:
        section = section[name]
    section[last] = value
    wrong = (key, value) in WRONG
    assert bool(list(Draft202012Validator(schemas.load_schema("config")).iter_errors(changed))) == wrong
    if wrong:
        with pytest.raises(LocalH5Error, match=f"^my.yaml: {key}") as caught:
            Config.from_json(changed, "my.yaml")
        assert "\n" not in str(caught.value)
    else:
        Config.from_json(changed, "my.yaml")


def test_a_violation_names_file_place_and_schema() -> None:
    with pytest.raises(LocalH5Error, match=r"^x.json: areas.0.request: expected what schemas/work_items.schema.json"):
        schemas.check("work_items", {"schema_version": 1, "areas": [{"request": 3}]}, "x.json", LocalH5Error)


def test_structures_are_made_in_python_without_being_slowed_by_checks() -> None:
    assert issubclass(forms.Form, msgspec.Struct)
    assert forms.Form.__struct_config__.frozen
    assert forms.Form.__struct_config__.forbid_unknown_fields

"""One table of countries, and nothing about a country anywhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from gateway_helpers import DATASET, LICENCE, publish_survey, survey_label, write_households

import pe_data
import pe_data_gateway
from pe_data.cli import app
from pe_data.describe.file import Label, describe
from pe_data.errors import InputError
from pe_data.names import countries
from pe_data.names.countries import COUNTRIES, Country, Terms, access_of, gated_codes
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_artifact
from pe_data.write.upload import Item

PACKAGE = Path(pe_data.__file__).parent
GATEWAY = Path(pe_data_gateway.__file__).parent
ENTITIES = {entity for country in COUNTRIES.values() for entity in country.entities} - {"person", "household", "family"}
NAMES = re.compile(
    rf"\b(?:{'|'.join(COUNTRIES)})\b|\b(?:{'|'.join(ENTITIES)})\b|policyengine[-_](?:{'|'.join(COUNTRIES)})\b|\b(?:cps|frs)\b"
)


def texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every text of a module but its documentation, where countries are examples."""
    documentation = {
        id(statement.value)
        for node in ast.walk(tree)
        for statement in (getattr(node, "body", None) if isinstance(getattr(node, "body", None), list) else ())
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node


def test_no_module_but_the_table_names_a_country_an_entity_or_a_model():
    modules = [path for package in (PACKAGE, GATEWAY) for path in package.rglob("*.py") if path.name != "countries.py"]
    assert len(modules) > 50
    found = [
        f"{path.relative_to(path.parents[2])}:{text.lineno}: {text.value[:60]!r}"
        for path in modules
        for text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if NAMES.search(text.value)
    ]
    assert found == []
    table = ast.parse((PACKAGE / "names" / "countries.py").read_text(encoding="utf-8"))
    assert sum(bool(NAMES.search(text.value)) for text in texts(table)) >= 2 * len(COUNTRIES)


def test_what_a_gated_country_publishes_is_gated_and_names_its_licence(tmp_path):
    store = FolderStore(tmp_path / "store")
    publish_survey(store, tmp_path / "files")
    manifest = pe_data_manifest(store)
    assert (manifest["access"], manifest["licence"]) == ("gated", LICENCE)
    assert manifest["inputs"]["files"][0]["name"].startswith("FRS 2023-24")
    assert set(manifest["entities"]) == set(COUNTRIES["uk"].entities)
    assert manifest["entities"]["benunit"]["id"] == "benunit_id"
    assert manifest["build"]["model_package"] == COUNTRIES["uk"].model_package


def pe_data_manifest(store):
    from pe_data.read.lookup import entry_for
    from pe_data.read.options import Options

    options = Options.of(store=str(store.root), cache=store.root.parent / "cache")
    return entry_for(f"pe-data://uk/{DATASET}@latest", options).manifest.to_json()


@pytest.mark.parametrize(("country", "access"), [("uk", "gated"), ("us", "public"), ("zz", "gated")])
def test_the_usual_access_comes_from_the_table_and_is_gated_for_strangers(tmp_path, country, access):
    assert access_of(country) == access
    path = write_households(tmp_path / "a.h5")
    assert describe(path, Label(country, "a")).access == access
    assert describe(path, Label(country, "a", access="public")).access == "public"
    assert gated_codes() == ("uk",)


@pytest.mark.parametrize(("code", "access"), [("ca", "public"), ("nz", "gated")])
def test_a_row_of_the_table_is_all_that_a_country_takes(tmp_path, monkeypatch, code, access):
    """docs/extending.md: published, listed, and opened as weighted frames."""
    terms = Terms("a survey's licence", "ask the office") if access == "gated" else None
    row = Country(code, "Elsewhere", ("person", "benunit", "household"), access, f"model-{code}", "survey_2023", terms)
    monkeypatch.setattr(countries, "COUNTRIES", {**COUNTRIES, code: row})
    (tmp_path / "files").mkdir()
    path = write_households(tmp_path / "files" / "survey_2023.h5")
    where = ["--store", str(tmp_path / "store")]
    told = ["--licence", "a survey's licence"]
    done = CliRunner().invoke(app, ["publish", str(path), f"{code}/survey_2023", *told, *where])
    assert done.exit_code == 0, done.output
    (listed,) = pe_data.list(code, store=tmp_path / "store")
    assert listed.dataset == "survey_2023"
    address = f"pe-data://{code}/survey_2023@latest"
    assert pe_data.schema(address, store=tmp_path / "store").access == access
    frames = pe_data.open(address, store=tmp_path / "store", cache=tmp_path / "cache")
    assert len(frames["person"]) > 0


def test_a_gated_artifact_without_a_licence_is_not_published(tmp_path):
    path = write_households(tmp_path / "a.h5")
    item = Item(path, describe(path, Label("uk", "a_2023")))
    with pytest.raises(InputError, match=r"uk/a_2023: licence: expected .* found none. Say --licence"):
        publish_artifact(FolderStore(tmp_path / "store"), item)
    assert not list((tmp_path / "store").rglob("*.h5"))


def test_the_command_line_publishes_with_licence_and_inputs(tmp_path):
    path = write_households(tmp_path / "a.h5")
    survey = tmp_path / "adult.tab"
    survey.write_text("made up")
    command = ["publish", str(path), f"uk/{DATASET}", "--store", str(tmp_path / "store")]
    runner = CliRunner()
    refused = runner.invoke(app, command)
    assert isinstance(refused.exception, InputError)
    named = [*command, "--licence", LICENCE, "--input", f"FRS 2023-24 adult={survey}"]
    assert runner.invoke(app, named).exit_code == 0
    manifest = pe_data_manifest(FolderStore(tmp_path / "store"))
    assert manifest["access"] == "gated"
    assert [one["name"] for one in manifest["inputs"]["files"]] == ["FRS 2023-24 adult"]
    wrong = runner.invoke(app, [*command, "--input", "FRS 2023-24"])
    assert wrong.exit_code == 2
    assert "NAME=FILE" in wrong.output


def test_the_label_of_the_synthetic_survey_is_complete():
    label = survey_label()
    assert label.access is None, "the table decides"
    assert label.inputs is not None

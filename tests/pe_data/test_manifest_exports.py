"""Croissant and Frictionless exports, checked with their own validators."""

import importlib

import numpy as np
import pytest
from storage_helpers import replace

from pe_data.cli.tables import column_rows, entity_rows, summary_rows
from pe_data.describe.columns import Column, Content, inputs_of
from pe_data.describe.file import Label, manifest_of
from pe_data.documents.croissant import to_croissant
from pe_data.documents.frictionless import to_frictionless
from pe_data.documents.manifest import Artifact, InputFile
from pe_data.texts import table

# The validators are imported where they are used: every worker reads this file, and one runs it.


@pytest.fixture
def mlcroissant():
    return importlib.import_module("mlcroissant")


@pytest.fixture
def frictionless():
    return importlib.import_module("frictionless")


@pytest.fixture
def manifest():
    columns = (
        Column("person_id", "person", "int64"),
        Column("person_household_id", "person", "int64"),
        Column("age", "person", "float32"),
        Column("is_male", "person", "bool", "eternity"),
        Column("household_id", "household", "int64"),
        Column("household_weight", "household", "float32"),
        Column("county_fips", "household", "text5"),
        Column("in_between", "family|spm_unit", "bool"),
    )
    content = Content(columns, {"person": 5, "household": 2, "family|spm_unit": 2}, ())
    label = Label("us", "cps_2024", licence="CC0-1.0", inputs=inputs_of([InputFile("s.h5", "a" * 64, 3)]))
    return manifest_of(label, Artifact("b" * 64, 1234, "application/x-hdf5"), content, (2024,))


def test_croissant(manifest, mlcroissant):
    document = to_croissant(manifest, "https://example.org/data/x.h5")
    metadata = mlcroissant.Dataset(jsonld=document).metadata
    assert not metadata.issues.errors
    assert {record_set.name for record_set in metadata.record_sets} == {
        "person",
        "household",
        "family_or_spm_unit",
    }
    (file,) = metadata.distribution
    assert (file.sha256, file.content_size) == ("b" * 64, "1234 B")
    fields = {f.name: f for rs in metadata.record_sets for f in rs.fields}
    assert len(fields) == 8
    assert fields["person_household_id"].references


def test_a_broken_croissant_is_noticed(manifest, mlcroissant):
    document = to_croissant(manifest, "https://example.org/data/x.h5")
    del document["distribution"][0]["encodingFormat"]
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=document)


def test_frictionless(manifest, frictionless):
    descriptor = to_frictionless(manifest)
    report = frictionless.Package.validate_descriptor(descriptor)
    assert report.valid, report.flatten(["message"])
    package = frictionless.Package.from_descriptor(descriptor)
    person = package.get_resource("person")
    assert person.schema.primary_key == ["person_id"]
    assert person.schema.foreign_keys[0]["reference"]["resource"] == "household"
    assert person.schema.get_field("age").type == "number"
    assert person.bytes == 1234
    assert package.get_resource("household").schema.get_field("county_fips").type == "string"


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC0-1.0", {"name": "CC0-1.0", "title": "CC0-1.0"}),
        ("https://example.org/l", {"path": "https://example.org/l"}),
        ("end user licence", {"name": "end-user-licence", "title": "end user licence"}),
    ],
)
def test_a_licence_in_frictionless(manifest, licence, expected, frictionless):
    descriptor = to_frictionless(replace(manifest, licence=licence))
    assert descriptor["licenses"] == [expected]
    assert frictionless.Package.validate_descriptor(descriptor).valid


def test_a_broken_frictionless_is_noticed(manifest, frictionless):
    descriptor = to_frictionless(manifest)
    descriptor["resources"][0]["schema"]["fields"][0]["type"] = "nonsense"
    assert not frictionless.Package.validate_descriptor(descriptor).valid


def test_table(manifest):
    rows = column_rows(manifest)
    assert len(rows) == 8
    assert ("person", "person_household_id", "int64", "year", "link to household", "") in rows
    assert ("household", "household_weight", "float32", "year", "weight", "") in rows
    assert [row[1] for row in column_rows(manifest, "FIPS")] == ["county_fips"]
    assert ("person", "5", "4") in entity_rows(manifest)
    assert dict(summary_rows(manifest))["years"] == "2024"
    lines = table(("a", "bb"), [("1", "2"), ("333", "4")])
    assert lines == ["a    bb", "1    2", "333  4"]
    assert np.unique([line.index(c) for line, c in zip(lines, ("bb", "2", "4"), strict=True)]) == [5]

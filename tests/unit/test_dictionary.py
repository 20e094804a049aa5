"""The dictionary of a run: what the model says, in a document and an attribute that the reader of the store takes."""

import enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from plain_model import snapshot_without_model
from tiny_world import World

import pe_data
from local_h5.build.payload import PayloadColumn
from local_h5.build.writer import DICTIONARY, Form, write_h5
from local_h5.contracts import dictionary as contracts
from local_h5.files.arrays import open_arrays, write_arrays
from local_h5.prepared import dictionary as words
from local_h5.prepared.dictionary import Written, attribute, dictionary_of, document, period_of
from local_h5.prepared.held import member_names
from local_h5.prepared.snapshot import SourceSnapshot, sealed
from pe_data.describe.file import Label, describe
from pe_data.describe.from_h5 import DICTIONARY as READ
from pe_data.documents import dictionary as documents
from pe_data.documents.dictionary import Dictionary


class Colour(enum.Enum):
    RED = "Red"
    BLUE = "Blue"


def variable(label: Any = None, unit: Any = None, documentation: Any = None, values: Any = None) -> SimpleNamespace:
    return SimpleNamespace(label=label, unit=unit, documentation=documentation, possible_values=values)


KNOWN = {
    "age": variable("age", "year", "How  old\n    somebody is.\n"),
    "colour": variable("Colour", None, "", Colour),
    "person_id": variable("Unique reference for this person"),
}
WRITTEN = {
    "person_id": Written("person", "year", "numbered"),
    "age": Written("person", "year", "the source dataset"),
    "colour": Written("household", "month", "the source dataset"),
    "unheard_of": Written("household", "eternity", "the source dataset"),
}


def test_the_store_reads_what_the_model_said() -> None:
    made = dictionary_of(WRITTEN, KNOWN, member_names)
    read = Dictionary.from_bytes(document(made).tobytes())
    assert read.to_json()["variables"] == [
        {"name": "age", "entity": "person", "period": "year", "label": "age", "unit": "year",
         "description": "How old somebody is.", "source": "the source dataset"},
        {"name": "colour", "entity": "household", "period": "month", "label": "Colour", "values": ["RED", "BLUE"],
         "source": "the source dataset"},
        {"name": "person_id", "entity": "person", "period": "year", "label": "Unique reference for this person",
         "source": "numbered"},
        {"name": "unheard_of", "entity": "household", "period": "eternity", "source": "the source dataset"},
    ]  # fmt: skip


anything = (
    st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["x" * 501, "\x1b[2J", " \n\t", "a\u200bb"])
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(WRITTEN)), st.tuples(anything, anything, anything)))
def test_whatever_a_model_says_is_taken(said: dict[str, tuple[Any, Any, Any]]) -> None:
    made = dictionary_of(WRITTEN, {name: variable(*texts) for name, texts in said.items()}, member_names)
    whole = Dictionary.from_bytes(document(made).tobytes())
    assert [one.name for one in whole.variables] == sorted(WRITTEN)
    for name, (label, _, _) in said.items():
        found = next(one for one in whole.variables if one.name == name)
        if isinstance(label, str) and label.isprintable() and len(label) <= 500 and label.strip():
            assert found.label == " ".join(label.split())


@pytest.mark.parametrize(("stored", "period"), [("2024", "year"), ("2024-01", "month"), ("ETERNITY", "eternity")])
def test_periods(stored: str, period: str) -> None:
    assert period_of(stored) == period


def write(path: Path, labels: np.ndarray, form: Form = "periods") -> Path:
    columns = [
        PayloadColumn(name, "2024", "person", lambda: np.arange(1, 4, dtype=np.int32)) for name in ("age", "person_id")
    ] + [PayloadColumn("household_id", "2024", "household", lambda: np.arange(1, 3, dtype=np.int32))]
    write_h5(path, sorted(columns, key=lambda one: one.variable), year=2024, labels=labels, notes={"a": "b"}, form=form)
    return path


@pytest.mark.parametrize("form", ["periods", "tables"])
def test_a_file_says_it_and_the_store_reads_it(tmp_path: Path, form: Form) -> None:
    made = dictionary_of(WRITTEN, KNOWN, member_names)
    assert DICTIONARY == READ
    path = write(tmp_path / "a.h5", attribute(made), form)
    told = {one.name: one for one in pe_data.variables(path)}  # type: ignore[union-attr]
    assert (told["age"].label, told["age"].unit, told["age"].entity) == ("age", "year", "person")
    assert told["age"].description is None
    assert told["household_id"].is_told is False
    assert describe(path, Label("us", "areas")).entities["person"].rows == 3
    assert write(tmp_path / "b.h5", attribute(made), form).read_bytes() == path.read_bytes()
    with h5py.File(write(tmp_path / "c.h5", np.empty(0, np.uint8))) as file:
        assert set(file.attrs) == {"a"}


def prepared(tmp_path: Path) -> SourceSnapshot:
    from local_h5.inputs.source import read_source
    from local_h5.prepared.steps import load_variable_rules
    from local_h5.takeup.programmes import load_programmes

    world = World(tmp_path)
    world.write()
    rules = load_variable_rules(Path(__file__).parents[2] / "config" / "variables.yaml")
    return snapshot_without_model(read_source(world.source), rules, load_programmes())


def test_a_label_is_no_change_of_the_source_and_a_description_none_of_a_file(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    words = [dictionary_of(WRITTEN, {**KNOWN, "age": variable(*said)}, member_names) for said in
             (("age", "year", "old"), ("Age", "year", "old"), ("age", "year", "older"))]  # fmt: skip
    first, other_label, other_text = (
        sealed(replace(made, dictionary=document(one), labels=attribute(one))) for one in words
    )
    assert first.content == other_label.content == other_text.content
    assert first.labels.tobytes() != other_label.labels.tobytes()
    assert first.labels.tobytes() == other_text.labels.tobytes()
    assert first.dictionary.tobytes() != other_text.dictionary.tobytes()
    assert sealed(replace(first, year=made.year + 1)).content != first.content
    matrix = min(made.matrices)
    changed = {**made.matrices, matrix: made.matrices[matrix].copy()}
    changed[matrix].view(np.uint8)[..., -1] ^= 1
    assert sealed(replace(first, matrices=changed)).content != first.content
    assert sealed(first).content == first.content
    write_arrays(tmp_path / "s.h5", first)
    kept = open_arrays(tmp_path / "s.h5", SourceSnapshot)
    assert (kept.content, kept.labels.tobytes()) == (first.content, first.labels.tobytes())


def test_both_distributions_say_the_same() -> None:
    """Neither needs the other to be installed, so each has a structure of its own."""
    assert contracts.Variable.__struct_fields__ == documents.Variable.__struct_fields__
    assert get_args(contracts.Period) == documents.PERIODS
    limits = documents.LABEL_LIMIT, documents.DESCRIPTION_LIMIT
    assert limits == (words.LABEL_LIMIT, words.DESCRIPTION_LIMIT)

"""The table of a model's version: what depends on the file, given what the file stores."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from local_h5.contracts.schemas import load_schema
from local_h5.prepared.model import MEDICAID_COST
from local_h5.requests import AreaType
from local_h5.validation.targets.model_facts import ModelFacts, WholeFile, facts_path, holds
from local_h5.validation.targets.model_source import read_source

FACTS = ModelFacts.of("2.68.0")
NAMES = sorted(FACTS.whole_file)


def test_a_stored_cost_makes_medicaid_a_households_own() -> None:
    assert FACTS.unsettled(())["medicaid"][0] == "state"
    settled = FACTS.unsettled({MEDICAID_COST})
    assert not {"medicaid", "medicaid_cost", "household_net_income_including_health_benefits"} & settled.keys()
    assert settled["household_income_decile"][0] == settled["income_decile"][0] == "nation"
    assert settled["medicaid_slcsp_state_denominator"][0] == "state"


def test_what_only_reads_gives_the_reason_of_what_it_reads() -> None:
    assert FACTS.unsettled(())["income_decile"][1].startswith("household_income_decile ")


@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_storing_more_settles_more(some: set[str], others: set[str]) -> None:
    fewer, more = FACTS.unsettled(some), FACTS.unsettled(some | others)
    assert more.keys() <= fewer.keys()
    assert not more.keys() & (some | others)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef")), min_size=1),
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef")),
)
def test_whoever_reads_it_is_unsettled_too(reads: dict[str, set[str]], roots: set[str], stored: set[str]) -> None:
    """Circles among them too; by walking up from every root."""
    table = {
        name: WholeFile(*(("state", tuple(read), "-") if name in roots else (None, tuple(read) or ("-",))))
        for name, read in reads.items()
    }
    expected = roots & reads.keys() - stored
    while more := {n for n in reads.keys() - stored - expected if reads[n] & expected}:
        expected |= more
    assert ModelFacts(table, {}, {}).unsettled(stored).keys() == expected


def test_where_a_scope_holds() -> None:
    kinds: tuple[AreaType, ...] = ("district", "city", "custom", "state", "national")
    assert [holds("file", kind) for kind in kinds] == [True, True, True, True, True]
    assert [holds("state", kind) for kind in kinds] == [False, False, False, True, True]
    assert [holds("nation", kind) for kind in kinds] == [False, False, False, False, True]


def test_every_table_is_whole() -> None:
    for path in facts_path("2.68.0").parent.glob("*.yaml"):
        facts = ModelFacts.of(path.stem)
        assert all(set(item.reads) <= facts.whole_file.keys() for item in facts.whole_file.values())
        assert not facts.whole_file.keys() & facts.own.keys()
        assert yaml.safe_load(path.read_text())["targets"].keys() == facts.meaning.keys()
    assert load_schema("model_facts")["type"] == "object"


# --- the finder, on formulas of a stand-in model


def by_state(values, state):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.sum(values[state])


class Formulas:
    """Never run."""

    @staticmethod
    def weighs(person, period):  # type: ignore[no-untyped-def]
        return person("person_weight", period)

    @staticmethod
    def counts(person, period):  # type: ignore[no-untyped-def]
        return by_state(person("age", period), person("state", period))

    @staticmethod
    def asks(person, period):  # type: ignore[no-untyped-def]
        return 1 if person.simulation.is_over_dataset else person("age", period)

    @staticmethod
    def follows(person, period):  # type: ignore[no-untyped-def]
        return person("parent_1_id", period)

    @staticmethod
    def ranks(person, period):  # type: ignore[no-untyped-def]
        return MicroSeries(person("age", period)).rank()  # type: ignore[name-defined]  # noqa: F821

    @staticmethod
    def plain(person, period):  # type: ignore[no-untyped-def]
        """Its person_weight is only spoken of here: is_over_dataset."""
        return person.household.sum(person("age", period))


def parameters(*leaves):  # type: ignore[no-untyped-def]
    return SimpleNamespace(get_descendants=lambda: leaves)


def variable(formula=None, **fields):  # type: ignore[no-untyped-def]
    formulas = {} if formula is None else {"0001-01-01": formula}
    return SimpleNamespace(**{"formulas": formulas, "adds": None, "subtracts": None, "defined_for": None, **fields})


def test_the_finder_sees_every_kind() -> None:
    variables = {
        **{name: variable() for name in ("age", "state", "person_weight", "parent_1_id")},
        **{
            name: variable(getattr(Formulas, name))
            for name in ("weighs", "counts", "asks", "follows", "ranks", "plain")
        },
        "added": variable(adds=["age", "weighs"]),
        "taken": variable(subtracts="gov.lists.taken"),
        "gated": variable(defined_for="taken"),
    }
    steps = [SimpleNamespace(value=["age"]), SimpleNamespace(value=["added"])]
    source = read_source(variables, parameters(SimpleNamespace(name="gov.lists.taken", values_list=steps)))
    assert source.signs == {
        "weighs": ("reads weights",),
        "counts": ("adds up or ranks over all rows",),
        "asks": ("asks whether it runs over a dataset",),
        "follows": ("reads ids",),
        "ranks": ("adds up or ranks over all rows", "ranks rows"),
    }
    assert source.closure(["weighs"]) == {"weighs", "added", "taken", "gated"}
    assert source.closure(["plain"]) == {"plain"}


@pytest.mark.parametrize("odd", [variable(adds="gov.nowhere"), variable(partial(Formulas.plain)), variable(print)])
def test_what_cannot_be_looked_into_is_a_candidate(odd) -> None:  # type: ignore[no-untyped-def]
    assert read_source({"odd": odd}, parameters()).signs == {"odd": ("has code that cannot be looked into",)}


def test_code_without_a_source_is_known_by_its_names() -> None:
    made: dict[str, Any] = {}
    exec("def ranks(person, period): return MicroSeries(person).rank()", made)
    found = read_source({"made": variable(made["ranks"])}, parameters()).signs
    assert found == {"made": ("adds up or ranks over all rows", "ranks rows")}

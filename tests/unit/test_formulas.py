"""What a formula can read is found in its code, in whatever way it names the variables."""

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_h5.prepared.formulas import HIDDEN, FormulaReads
from local_h5.prepared.places import Kept, place_columns


@dataclass
class Variable:
    """As much of the model's variable as matters here."""

    formulas: dict[str, Any] = field(default_factory=dict)
    adds: Any = None
    subtracts: Any = None
    defined_for: str | None = None
    label: str = "a variable"


def parameters(**lists: list[str]) -> Any:
    leaves = [
        SimpleNamespace(name=name.replace("__", "."), values_list=[SimpleNamespace(value=value)])
        for name, value in lists.items()
    ]
    return SimpleNamespace(get_descendants=lambda: [*leaves, SimpleNamespace(name="gov.rate")])


STATES = ["state_fips"]


def helper(person, period):
    return person(STATES[0], period)


def direct(person, period):
    return person("state_fips", period)


def in_a_list(person, period):
    return sum(person(name, period) for name in ["age", "state_fips"])


def by_a_helper(person, period):
    return helper(person, period)


def in_a_branch_that_is_not_taken(person, period):
    return person("state_fips", period) if period > 3000 else 0


def by_a_function_inside(person, period):
    def inner():
        return person("state_fips", period)

    return inner()


def from_the_parameters(person, period, parameters):
    p = parameters(period).gov.credits
    return sum(person(name, period) for name in p.refundable)


def closing_over(name):
    return lambda person, period: person(name, period)


def of_no_place(person, period):
    return person("age", period) + person("income", period)


WAYS = {
    "text": Variable({"0001-01-01": direct}),
    "a list": Variable({"0001-01-01": in_a_list}),
    "a helper that has a list": Variable({"0001-01-01": by_a_helper}),
    "a branch": Variable({"0001-01-01": in_a_branch_that_is_not_taken}),
    "an inner function": Variable({"0001-01-01": by_a_function_inside}),
    "a closure": Variable({"0001-01-01": closing_over("state_fips")}),
    "a list in the parameters": Variable({"0001-01-01": from_the_parameters}),
    "an earlier year": Variable({"0001-01-01": direct, "2024-01-01": of_no_place}),
    "a sum": Variable(adds=["age", "state_fips"]),
    "a sum of a list in the parameters": Variable(adds="gov.credits.refundable"),
    "a difference": Variable(adds=["age"], subtracts=["state_fips"]),
    "for whom it holds": Variable({"0001-01-01": of_no_place}, defined_for="state_fips"),
}


def reads(variable: Any) -> FormulaReads:
    variables = {"it": variable, "age": Variable(), "income": Variable(), "state_fips": Variable(), "other": Variable()}
    return FormulaReads(variables, parameters(gov__credits__refundable=["other", "state_fips", "no variable"]))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_naming_a_variable_is_seen(way: str) -> None:
    assert reads(WAYS[way]).chain("it", {"state_fips"}) == ("it", "state_fips")


def test_what_a_formula_does_not_name_it_does_not_read() -> None:
    graph = reads(Variable({"0001-01-01": of_no_place}))
    assert graph.of("it") == {"age", "income"}
    assert graph.of("age") == frozenset()
    assert graph.chain("it", {"state_fips", HIDDEN}) is None


@pytest.mark.parametrize(
    "variable",
    [Variable({"0001-01-01": partial(direct)}), Variable({"0001-01-01": print}), Variable(adds="gov.no.such.list")],
)
def test_code_that_cannot_be_looked_into_may_read_anything(variable: Variable) -> None:
    graph = reads(variable)
    assert graph.chain("it", {HIDDEN}) == ("it", HIDDEN)
    assert "it" in place_columns({"it": variable}, graph, {}).left_out


def test_a_column_that_is_kept_is_listed_with_its_reason_unless_another_is_there() -> None:
    variable = Variable({"0001-01-01": direct})
    kept = {"it": Kept("what was paid", unless="gross")}
    alone = place_columns({"it": variable}, reads(variable), kept)
    assert (alone.left_out, alone.reflecting) == ({}, {"it": "what was paid"})
    both = place_columns({"it": variable, "gross": Variable()}, reads(variable), kept)
    assert (set(both.left_out), both.reflecting) == ({"it"}, {})


@given(
    st.integers(2, 9).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3 * n),
            st.sets(st.integers(1, n - 1)),
        )
    )
)
def test_a_chain_is_found_exactly_when_there_is_one(case: tuple[int, set[tuple[int, int]], set[int]]) -> None:
    """On any graph, with cycles: against a plain closure; and each link of the chain is a reading."""
    n, edges, stops = case
    names = [f"v{number}" for number in range(n)]
    variables = {
        name: Variable(adds=[names[b] for a, b in sorted(edges) if a == number]) for number, name in enumerate(names)
    }
    graph = FormulaReads(variables, parameters())
    target, stopped = names[n - 1], {names[number] for number in stops}
    reached, grown = {names[0]}, True
    while grown:
        more = {b for a in reached - stopped for b in graph.of(a)} | reached
        grown, reached = more != reached, more
    chain = graph.chain(names[0], {target}, stops=stopped)
    assert (chain is not None) == (target in reached - {names[0]})
    if chain is not None:
        assert (chain[0], chain[-1]) == (names[0], target)
        assert all(b in graph.of(a) for a, b in pairwise(chain))
        assert not stopped & set(chain[1:-1])

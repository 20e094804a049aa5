"""Documents as structures: what is refused, in which words, and that writing and reading agree."""

import copy
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe_data.documents.document import (
    Count,
    Country,
    Digest,
    Document,
    Part,
    Refused,
    Size,
    Text,
    Time,
    check_times,
)
from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import canonical_json, strict_json

A = "a" * 64


class Row(Part, frozen=True):
    sha256: Digest
    size: Size
    kind: Literal["h5", "parquet"]


class Example(Document, frozen=True):
    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 2, "kind": "example"}
    country: Country
    rows: Mapping[Text, Row]
    years: tuple[int, ...] = ()
    time: Time | None = None

    def __post_init__(self) -> None:
        check_times(self, "time")
        if list(self.years) != sorted(self.years):
            raise Refused("years", "ascending years", list(self.years))


class Closed(Example, frozen=True, forbid_unknown_fields=True):
    pass


GOOD: dict[str, Any] = {
    "schema_version": 2,
    "kind": "example",
    "country": "us",
    "rows": {"states/AL": {"sha256": A, "size": 1, "kind": "h5"}},
    "years": [2023, 2024],
}


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(GOOD)
    holder = document
    for name in path[:-1]:
        holder = holder[name]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


ROW = ("rows", "states/AL")
HEX, TIME = "64 lower-case hexadecimal digits", "a UTC time such as 2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("schema_version",), 3, "field schema_version: expected 2 (a newer one needs a newer pe-data: upgrade it), f"),
        (("schema_version",), 1, "field schema_version: expected 2, found the number 1"),
        (("schema_version",), True, "field schema_version: expected 2, found the boolean true"),
        (("kind",), None, "field kind: expected example, found nothing"),
        (("country",), "gc", "field country: expected a lower-case country code, found 'gc'"),
        (("country",), "us\n", r"field country: expected a lower-case country code, found 'us\n'"),
        (("country",), None, "field country: expected a lower-case country code, found nothing"),
        ((*ROW, "sha256"), A[1:], f"field rows.states/AL.sha256: expected {HEX}, found 'aaa"),
        ((*ROW, "sha256"), None, f"field rows.states/AL.sha256: expected {HEX}, found nothing"),
        ((*ROW, "size"), -1, "field rows.states/AL.size: expected a number of bytes, at most"),
        ((*ROW, "size"), 1 << 41, "field rows.states/AL.size: expected a number of bytes, at most"),
        ((*ROW, "size"), True, "found the boolean true"),
        ((*ROW, "size"), 1.0, "found the number 1.0"),
        ((*ROW, "kind"), "exe", "field rows.states/AL.kind: expected one of h5, parquet, found 'exe'"),
        (("rows", "\x1b[2J"), 7, r"field rows.'\x1b[2J': expected an object, found the number 7"),
        (("rows", ""), 7, "expected text, found ''"),
        (("years",), ["2024"], "field years.0: expected an integer, found '2024'"),
        (("years",), [2024, 2023], "field years: expected ascending years, found [2024, 2023]"),
        (("time",), "2024-06-31T00:00:00Z", f"field time: expected {TIME}, found '2024-06-31T00:00:00Z'"),
        (("time",), "2024-06-30T00:00:00+01:00", f"field time: expected {TIME}, found"),
    ],
)
def test_what_is_refused_is_said(path: tuple[str, ...], value: Any, says: str) -> None:
    with pytest.raises(InvalidDocumentError) as error:
        Example.from_json(changed(path, value), "store: key")
    assert str(error.value).startswith("store: key: field ")
    assert says in str(error.value)
    assert str(error.value).isprintable()


def test_an_unknown_key_is_for_later_versions_unless_the_class_forbids_it() -> None:
    document = changed(("later",), 1)
    assert Example.from_json(document, "x") == Example.from_json(GOOD, "x")
    with pytest.raises(InvalidDocumentError, match=r"x: field later: expected one of country, .* found an unknown key"):
        Closed.from_json(document, "x")
    assert Closed.from_json(GOOD, "x").to_json() == GOOD


def test_nothing_is_written_that_reading_would_refuse() -> None:
    rows = Example.from_json(GOOD, "x").rows
    assert strict_json(Example("us", rows).to_bytes(), what="x") == {
        key: value for key, value in GOOD.items() if key != "years"
    }
    for bad in (Example("USA", rows), Example("us", {"": rows["states/AL"]}), Example("us", rows, ("2024",))):  # type: ignore[arg-type]
        with pytest.raises(InvalidDocumentError, match=r"^example: field "):
            bad.to_bytes()


class Number(Document, frozen=True):
    value: Count


@settings(max_examples=50, deadline=None)
@given(st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -1, 0]))
def test_a_number_is_read_as_it_was_written_or_refused(value: int) -> None:
    if 0 <= value < 1 << 63:
        assert Number.from_bytes(Number(value).to_bytes(), "x").value == value
        return
    with pytest.raises(
        InvalidDocumentError, match=r"expected an integer of at least 0, found the number|beyond 64 bits"
    ):
        Number(value).to_bytes()
    with pytest.raises(InvalidDocumentError):
        Number.from_bytes(canonical_json({"schema_version": 1, "value": value}), "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":1,"a":1}', "key 'a' stands twice in one object"),
        ('{"a":{"\\u001b":1,"\\u001b":1}}', r"key '\x1b' stands twice"),
        ('{"a":NaN}', "NaN is not JSON"),
        ('{"a":-Infinity}', "-Infinity is not JSON"),
        ('{"a":1e999}', "a number out of range: 1e999"),
        ('{"a":9223372036854775808}', "an integer beyond 64 bits: 9223372036854775808"),
        ('{"a":-9223372036854775809}', "an integer beyond 64 bits"),
        ('{"a":' + "9" * 100_000 + "}", "an integer beyond 64 bits: 9999"),
        ('{"a":"\\ud800"}', "surrogates not allowed"),
        ('{"\\udfff":1}', "surrogates not allowed"),
        (b'{"a":"\xed\xa0\x80"}', "can't decode"),
        ('{"a":1}'.encode("utf-16"), "can't decode"),
        (b'\xef\xbb\xbf{"a":1}', "BOM"),
        ("[1]", "expected a JSON object, found list"),
        ('{"a":1}{', "Extra data"),
        ("[" * 100_000, "not readable as JSON"),
    ],
)
def test_json_that_two_readers_may_understand_differently(text: str | bytes, says: str) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InvalidDocumentError, match=r"^x: ") as error:
        strict_json(raw, what="x")
    assert says in str(error.value)
    assert len(str(error.value)) < 300


USED_AT_ONCE = """
import sys, threading, time
import msgspec._utils
inner = msgspec._utils._eval_type
def slow(*arguments):
    time.sleep(0.001)  # another thread goes on here, as it may anyway
    return inner(*arguments)
msgspec._utils._eval_type = slow
from pe_data.documents.document import convert
from pe_data.documents import collection, manifest, tombstone
from pe_data.errors import InvalidDocumentError
kind = getattr(globals()[sys.argv[1]], sys.argv[2])
def read():
    try:
        convert({}, kind, "document")
    except InvalidDocumentError:
        found.append(1)
found = []
threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
    time.sleep(0.003)
for thread in threads:
    thread.join()
print(len(found))
"""


@pytest.mark.parametrize(
    ("module", "kind"), [("manifest", "Manifest"), ("collection", "Collection"), ("tombstone", "Tombstone")]
)
def test_threads_may_read_the_first_document_of_a_kind_at_once(module: str, kind: str) -> None:
    """msgspec works out a structure at its first use. A thread that uses it meanwhile crashed the process."""
    command = [sys.executable, "-c", USED_AT_ONCE, module, kind]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "8\n"), ended.stderr

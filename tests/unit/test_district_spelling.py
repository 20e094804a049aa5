"""How a geography wrote its districts is kept beside the normalised codes, where it is one way."""

import numpy as np
import pytest

from local_h5.inputs.geography.canonical import Geography

ALASKA, DC, NC = 20130001001000, 110010001011000, 370010201001000


def geography(*rows: tuple[int, object]) -> Geography:
    blocks = np.array([block for block, _ in rows])
    return Geography.from_arrays(blocks, [code for _, code in rows], n_records=len(rows), n_clones=1)


@pytest.mark.parametrize(
    ("rows", "spelling"),
    [
        ([(ALASKA, "0201"), (NC, "3701")], {}),
        ([(ALASKA, "200"), (NC, "3701")], {201: 200}),
        ([(ALASKA, "0200"), (DC, "1198")], {201: 200, 1101: 1198}),
        ([(ALASKA, 200), (DC, 1100), (NC, 3701)], {201: 200, 1101: 1100}),
        ([(ALASKA, "200"), (ALASKA, "0200")], {201: 200}),
        ([(ALASKA, "200"), (ALASKA, "201")], {}),
        ([(DC, "1100"), (DC, "1198")], {}),
        ([(NC, "3700"), (NC, "3702")], {3701: 3700}),
        ([(0, ""), (NC, "3700")], {3701: 3700}),
    ],
)
def test_spelling(rows: list[tuple[int, object]], spelling: dict[int, int]) -> None:
    found = geography(*rows)
    assert found.spelling == spelling


def test_spelling_is_no_part_of_the_geography() -> None:
    as_given, normalised = geography((ALASKA, "200"), (NC, "3701")), geography((ALASKA, "0201"), (NC, "3701"))
    assert as_given.spelling != normalised.spelling
    assert as_given == normalised
    assert as_given.digest() == normalised.digest()

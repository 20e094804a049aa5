"""Cut the public block tables down to the blocks of one geography, for tests that must run anywhere.

The rows kept are those of the tables, in their order, text untouched; the county table is kept whole in its two
columns that are read.
"""

import argparse
import csv
import gzip
from collections.abc import Collection
from pathlib import Path

import numpy as np


def restrict_tables(
    path_to_geography: Path,
    path_to_block_districts: Path,
    path_to_crosswalk: Path,
    path_to_county_cbsa: Path,
    path_to_output: Path,
) -> None:
    """Write the three tables, restricted to the blocks of a geography.

    Assumes: a geography with plain arrays; the tables have a header row with ``block_geoid`` (and ``stcofips``,
    ``CBSA Code``).

    Args:
        path_to_geography: ``.npz`` with ``block_geoid``.
        path_to_block_districts, path_to_crosswalk: the public tables, ``.csv.gz``.
        path_to_county_cbsa: the public county table, ``.csv``.
        path_to_output: folder for tables of the same names.
    """
    with np.load(path_to_geography) as geography:
        blocks = set(geography["block_geoid"].tolist())
    path_to_output.mkdir(parents=True, exist_ok=True)
    for path in (path_to_block_districts, path_to_crosswalk):
        with gzip.open(path, "rt", newline="") as stream:
            lines = [",".join(row) + "\n" for row in _rows_of(csv.reader(stream), blocks)]
        # no name and no time in the header: equal content gives equal bytes
        with (path_to_output / path.name).open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            packed.write("".join(lines).encode())
    with path_to_county_cbsa.open(newline="", encoding="utf-8") as stream:
        rows = [f"{row['stcofips']},{row['CBSA Code']}\n" for row in csv.DictReader(stream)]
    (path_to_output / path_to_county_cbsa.name).write_text("stcofips,CBSA Code\n" + "".join(rows))


def _rows_of(reader: "csv._reader", blocks: Collection[str]) -> "list[list[str]]":
    header = next(reader)
    place = header.index("block_geoid")
    return [header, *(row for row in reader if row[place] in blocks)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geography", type=Path, required=True)
    parser.add_argument("--block-districts", type=Path, required=True)
    parser.add_argument("--crosswalk", type=Path, required=True)
    parser.add_argument("--county-cbsa", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    restrict_tables(
        arguments.geography, arguments.block_districts, arguments.crosswalk, arguments.county_cbsa, arguments.output
    )

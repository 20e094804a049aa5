"""Files for other programs, in a folder: all of them, or none (extra `frames`)."""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pe_data.errors import CacheError, PeDataError, need
from pe_data.exports import names as rules
from pe_data.exports.gather import Gathered, gather
from pe_data.exports.package import descriptor
from pe_data.exports.table import Table
from pe_data.files.atomic import beside
from pe_data.read.options import Options, listed

if TYPE_CHECKING:
    from pe_data.exports.gather import Source

Format = Literal["parquet", "csv", "stata", "duckdb"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIX = {"csv": "csv", "parquet": "parquet", "stata": "dta", "duckdb": "duckdb"}
DATABASE = "data.duckdb"
"""The one file of a DuckDB export."""
PACKAGE, RENAMES = "datapackage.json", "renames.csv"
BESIDE = frozenset({RENAMES, "read.py", "read.R", "read.do"})
"""What stands beside exported files: always the package, the others where they are needed."""


def export(
    source: "Source",
    to: Format,
    folder: Path | str,
    variables: Iterable[str] | None = None,
    *,
    members: str | Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    year: int | None = None,
    years: "int | Iterable[int] | None" = None,
    allow_pickle: bool = False,
    cache: Path | str | None = None,
    store: Path | str | None = None,
    offline: bool | None = None,
    allow_stale: bool = False,
) -> "Written":
    """Write a file per entity, `{entity}.csv`, `.parquet` or `.dta`, or one `data.duckdb`; returns entity → file.

    Args:
        source: An address as for `ensure`; frames (`pe_data.open`), estimates, or a data frame of your own.
        to: csv, parquet, stata or duckdb.
        folder: Made if it is not there. Files of the same names are replaced.
        variables: Only these columns; default all.
        members: Of a collection, the members whose name fits one of these patterns, such as `districts/*`, together:
            with a column `area`.
        labels: Column → label, for columns that no dictionary explains, or to say it in other words.
        year, years: Which year of a file with several.
        allow_pickle: As for `pe_data.open`.
        cache, store, offline, allow_stale: As for `ensure`.

    Codes (`pe_data.documents.codes`) are text with their leading zeros. Labels, units, lists of values, licence, notes
    and citation go along, as far as the format can: `datapackage.json` has all of them; beside CSV files lie `read.py`,
    `read.R` and `read.do`, beside Stata files a `read.R`. `renames.csv` lists columns that have another name in the
    file (or, for CSV, in Stata after `read.do`).

    Raises:
        PeDataError: an unknown format; a folder that cannot be written; what a format cannot hold exactly, such as
            integers beyond 2^53 in Stata; whatever `open` raises. Then there is no file of the export.
    """
    if to not in FORMATS:
        raise PeDataError(f"format: expected one of {', '.join(FORMATS)}, found {to!r}")
    if to == "duckdb":
        need(f"{folder}: a DuckDB file needs", "duckdb", "duckdb")
    chosen, patterns = listed(variables), listed(members)
    gathered = gather(
        source,
        chosen,
        patterns,
        labels or {},
        year,
        years,
        allow_pickle,
        Options.of(cache=cache, store=store, offline=offline, allow_stale=allow_stale),
    )
    try:
        return _into(Path(folder), gathered, to)
    except OSError as error:
        raise CacheError(f"{folder}: cannot be written: {error.strerror or error}") from error


class Written(dict[str, Path]):
    """Entity → file that was written.

    Attributes:
        renamed: Columns with another name.
    """

    renamed = 0


def _into(target: Path, gathered: Gathered, to: Format) -> Written:
    """Write all files under another name, then give them their own."""
    new = not target.exists()
    if new:
        target.parent.mkdir(parents=True, exist_ok=True)
    work = beside(target) if new else beside(target / "export")
    work.mkdir()
    try:
        plan = _write(work, gathered, to)
        if new:
            work.rename(target)
        else:
            made = sorted(work.iterdir(), key=lambda path: path.name == PACKAGE)
            taken = next((path.name for path in made if (target / path.name).is_dir()), None)
            if taken is not None:
                raise IsADirectoryError(0, f"{taken} is a folder there")
            for path in made:
                path.replace(target / path.name)
            for name in BESIDE - {path.name for path in made}:  # of an earlier export, about other files
                (target / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    written = Written({name: target / file for name, file in plan.files.items()})
    written.renamed = len(plan.renames())
    return written


def _write(folder: Path, gathered: Gathered, to: Format) -> "_Plan":
    """Write everything into a new folder."""
    tables = gathered.tables
    plan = _plan(tables, to)
    if to == "duckdb":
        from pe_data.exports.duckdb_file import write_duckdb

        write_duckdb(tables, folder / DATABASE, plan.tables, plan.columns, gathered.said.kinds())
    for table in tables:
        path = folder / plan.files[table.name]
        if to == "csv":
            from pe_data.exports.plain import write_csv

            write_csv(table, path)
        elif to == "parquet":
            from pe_data.exports.plain import write_parquet

            write_parquet(table, path, gathered.said.years, gathered.said.lines())
        elif to == "stata":
            from pe_data.exports.stata import write_stata

            said = gathered.said
            write_stata(table, path, plan.columns[table.name], said.heading, said.lines()[1:], gathered.what)
    for name, text in _beside(gathered, plan, to).items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return plan


@dataclass(frozen=True, slots=True)
class _Plan:
    """How tables, their files and columns are called."""

    files: dict[str, str]
    tables: dict[str, str]
    columns: dict[str, dict[str, str]]
    """Table → column → name; for CSV files, the name after `read.do`."""

    def renames(self) -> list[tuple[str, str, str]]:
        """Table, column and name of columns that are called something else."""
        return [(table, *pair) for table, names in self.columns.items() for pair in rules.renamed(names).items()]


def _plan(tables: Sequence[Table], to: Format) -> _Plan:
    plain = {table.name: table.name.replace("|", "_or_") for table in tables}
    stems = rules.fitted(plain.values(), rules.FILES)
    files = {name: f"{stems[text]}.{SUFFIX[to]}" for name, text in plain.items()}
    columns = {"csv": rules.STATA, "stata": rules.STATA, "duckdb": rules.DUCKDB, "parquet": rules.PLAIN}[to]
    named = {table.name: rules.fitted((field.name for field in table.fields), columns) for table in tables}
    if to != "duckdb":
        return _Plan(files, {name: name for name in files}, named)
    return _Plan(dict.fromkeys(files, DATABASE), {name: stems[text] for name, text in plain.items()}, named)


def _beside(gathered: Gathered, plan: _Plan, to: Format) -> dict[str, str]:
    """Name → text of what stands beside the files."""
    from pe_data.exports import readers

    tables, said = gathered.tables, gathered.said
    in_file = {name: {} if to == "csv" else names for name, names in plan.columns.items()}
    package = descriptor(gathered.origins, said, tables, plan.files, plan.tables, in_file)
    texts = {PACKAGE: json.dumps(package, indent=2, ensure_ascii=False) + "\n"}
    if to == "csv":
        texts["read.py"] = readers.read_py(tables, plan.files, said)
        texts["read.R"] = readers.read_r(tables, plan.files, said)
        texts["read.do"] = readers.read_do(tables, plan.files, plan.columns, said)
    if to == "stata":
        texts["read.R"] = readers.read_r_stata(plan.files, said)
    renames = plan.renames()
    if renames:
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([("table", "column", "name"), *renames])
        texts[RENAMES] = table.getvalue()
    return texts

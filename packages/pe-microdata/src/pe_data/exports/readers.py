"""`read.py`, `read.R` and `read.do`: short programs that read exported files with their types and labels.

They hold all that they need, so that they can be sent along with the files.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pe_data.exports.said import Said
from pe_data.exports.stata import LABEL
from pe_data.exports.table import EXACT, Field, Table
from pe_data.texts import cut

_R_INTEGER = 2**31 - 1
_SPARE = "pe_data_spare_of_32_characters__"
"""A name of Stata for a moment."""


def read_py(tables: Sequence[Table], files: Mapping[str, str], said: Said) -> str:
    """For pandas; `read()` gives a frame for each table, with labels and values in `attrs`.

    Args:
        tables: Of CSV files.
        files: Table → its file.
        said: Of the whole.
    """
    content = {
        table.name: {
            "file": files[table.name],
            "dtypes": {field.name: field.dtype for field in table.fields if field.kind != "other"},
            "labels": {field.name: field.title for field in table.fields if field.title},
            "values": {field.name: list(field.values) for field in table.fields if field.values},
        }
        for table in tables
    }
    return "\n".join(
        [
            *_comment(said.lines(), "#"),
            "#",
            "# frames = read()   A data frame for each table; its attrs have labels, lists of values and notes.",
            "import json",
            "from pathlib import Path",
            "",
            "import pandas as pd",
            "",
            "# Newer versions of pandas read every number exactly by themselves.",
            'OLD = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)',
            'EXACT = {"float_precision": "round_trip"} if OLD else {}',
            f"NOTES = {_python(list(said.lines()))}",
            f"TABLES = {_python(content)}",
            "",
            "",
            "def read(folder=Path(__file__).parent):",
            "    frames = {}",
            "    for name, table in TABLES.items():",
            '        numbers = {column: [""] for column, dtype in table["dtypes"].items() if dtype != "str"}',
            "        frame = pd.read_csv(",
            '            Path(folder) / table["file"], dtype=table["dtypes"], keep_default_na=False,',
            '            na_values=numbers, encoding="utf-8", **EXACT,',
            "        )",
            '        frame.attrs = {"labels": table["labels"], "values": table["values"], "notes": NOTES}',
            "        frames[name] = frame",
            "    return frames",
            "",
            "",
            'if __name__ == "__main__":',
            "    for name, frame in read().items():",
            '        print(f"{name}: {len(frame)} rows, {len(frame.columns)} columns")',
            "",
        ]
    )


def read_r(tables: Sequence[Table], files: Mapping[str, str], said: Said) -> str:
    """For R, without any package: `read_tables(folder)` gives a list of labelled data frames, with factors for lists.

    The arguments are those of `read_py`.
    """
    lines = [
        *_comment(said.lines(), "#"),
        "#",
        '# source("read.R"); tables <- read_tables(".")   A data frame for each table, with labels.',
        "tables_of_export <- list(",
        ",\n".join(f"  {_r(table.name)} = {_r_table(table, files[table.name])}" for table in tables),
        ")",
        f"notes_of_export <- {_r_vector(said.lines())}",
        "",
        'read_tables <- function(folder = ".") {',
        "  lapply(tables_of_export, function(table) {",
        '    frame <- read.csv(file.path(folder, table$file), colClasses = "character", check.names = FALSE,',
        '                      na.strings = character(0), encoding = "UTF-8")',
        "    stopifnot(identical(names(frame), table$names))",
        '    for (at in which(table$classes != "character")) {  # numbers may stand in quotes, which read.csv refuses',
        "      text <- frame[[at]]",
        '      text[text == ""] <- NA',
        '      frame[[at]] <- do.call(paste0("as.", table$classes[[at]]), list(text))',
        "    }",
        "    for (name in names(table$values)) frame[[name]] <- factor(frame[[name]], levels = table$values[[name]])",
        '    for (name in names(table$labels)) attr(frame[[name]], "label") <- table$labels[[name]]',
        '    attr(frame, "notes") <- notes_of_export',
        "    frame",
        "  })",
        "}",
        "",
    ]
    return "\n".join(lines)


def read_r_stata(files: Mapping[str, str], said: Said) -> str:
    """For R and the package haven: `read_tables(folder)` gives a list of labelled tibbles.

    Args:
        files: Table → its Stata file.
        said: Of the whole.
    """
    return "\n".join(
        [
            *_comment(said.lines(), "#"),
            "#",
            '# source("read.R"); tables <- read_tables(".")   A tibble for each table, with labels (package haven).',
            "# haven::as_factor(tables$person$column) turns a labelled column into a factor.",
            f"files_of_export <- {_r_named(files)}",
            f"notes_of_export <- {_r_vector(said.lines())}",
            "",
            'read_tables <- function(folder = ".") {',
            "  lapply(files_of_export, function(file) {",
            "    frame <- haven::read_dta(file.path(folder, file))",
            '    attr(frame, "notes") <- notes_of_export',
            "    frame",
            "  })",
            "}",
            "",
        ]
    )


def read_do(
    tables: Sequence[Table], files: Mapping[str, str], names: Mapping[str, Mapping[str, str]], said: Said
) -> str:
    """For Stata 14 and later: makes a labelled `.dta` of each CSV file.

    Args:
        tables: Of CSV files.
        files: Table → its file.
        names: Table → column → its name in Stata.
        said: Of the whole.
    """
    lines = [
        *_comment(map(_do_plain, said.lines()), "*"),
        "* do read.do   in this folder; it saves a .dta beside each .csv",
        "version 14",
        "",
    ]
    for table in tables:
        lines += [*_do_table(table, files[table.name], names[table.name], said), ""]
    return "\n".join(lines)


def _do_table(table: Table, file: str, names: Mapping[str, str], said: Said) -> Iterable[str]:
    text = [number for number, field in enumerate(table.fields, 1) if _is_text(field) or field.kind == "bool"]
    kept = f" stringcols({_spans(text)})" if text else ""
    yield (
        f'import delimited using {_do(file)}, clear delimiters(",") varnames(nonames) rowrange(2) asdouble '
        f'encoding("utf-8") bindquotes(strict){kept}'
    )
    columns = " ".join(f"v{number}" for number in range(1, len(table.fields) + 1))
    yield f"rename ({columns}) ({' '.join(names[field.name] for field in table.fields)})"
    for field in table.fields:
        name = names[field.name]
        listed = ("False", "True") if field.kind == "bool" else field.values
        if listed:
            yield from (f"label define {name} {code} {_do(value)}, add" for code, value in enumerate(listed))
            yield f"encode {name}, generate({_SPARE}) label({name}) noextend"
            yield f"order {_SPARE}, after({name})"
            yield f"drop {name}"
            yield f"rename {_SPARE} {name}"
        title = field.title or (field.name if name != field.name else "")
        if title:
            yield f"label variable {name} {_do(cut(title, LABEL))}"
    yield f"label data {_do(cut(said.heading, LABEL))}"
    for line in said.lines():
        yield f"notes: {_do_plain(line)}"
    yield f"save {_do(file.rpartition('.')[0] + '.dta')}, replace"


def _is_text(field: Field) -> bool:
    """Whether Stata and R take a column as text: also integers that a double cannot hold."""
    return field.kind in ("text", "other") or field.largest > EXACT


def _spans(numbers: Sequence[int]) -> str:
    """`1/3 7` for 1, 2, 3, 7."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(str(a) if a == b else f"{a}/{b}" for a, b in spans)


def _comment(lines: Iterable[str], mark: str) -> list[str]:
    return [f"{mark} {' '.join(line.split())}" for line in lines]


# --- how a text is written in each language -------------------------------------------------------


def _python(value: Any) -> str:
    """JSON in a raw text: small, and Python reads it fast."""
    text = json.dumps(value, ensure_ascii=True)
    return f"json.loads({text!r})"


def _r(text: str) -> str:
    """A text of R in ASCII, so that it is the same in every locale."""
    inner = "".join(
        one if " " <= one <= "~" and one not in '"\\' else f"\\{one}" if one in '"\\' else f"\\U{{{ord(one):x}}}"
        for one in text
    )
    return f'"{inner}"'


def _r_vector(texts: Iterable[str]) -> str:
    return f"c({', '.join(map(_r, texts))})"


def _r_named(texts: Mapping[str, str]) -> str:
    return f"list({', '.join(f'{_r(name)} = {_r(text)}' for name, text in texts.items())})"


def _r_table(table: Table, file: str) -> str:
    classes = [_r_class(field) for field in table.fields]
    labels = {field.name: field.title for field in table.fields if field.title}
    values = ", ".join(f"{_r(f.name)} = {_r_vector(f.values)}" for f in table.fields if f.values)
    return (
        f"list(file = {_r(file)},\n    names = {_r_vector(field.name for field in table.fields)},\n"
        f"    classes = {_r_vector(classes)},\n    labels = {_r_named(labels)},\n    values = list({values}))"
    )


def _r_class(field: Field) -> str:
    if _is_text(field):
        return "character"
    if field.kind == "bool":
        return "logical"
    return "integer" if field.kind == "int" and field.largest <= _R_INTEGER else "numeric"


def _do_plain(text: str) -> str:
    """Text of a Stata command outside quotes: no macro is expanded, no comment begins."""
    plain = " ".join(text.replace("`", "'").replace("$", "\\$").split())
    return re.sub(r"(?<!\S)/{2,}", lambda found: " ".join(found[0]), plain).replace("/*", "/ *")


def _do(text: str) -> str:
    """A text of Stata in compound quotes; a grave accent would begin a macro, and becomes an apostrophe."""
    plain = text.replace("`", "'").replace("\"'", '"').replace("$", "\\$")
    return f'`"{" ".join(plain.split())}"\''

"""Exports, read by R: the CSV with nothing but R, the Stata file with haven (tests/install_r.sh)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from export_helpers import TENURE, write_area

import pe_data

pytestmark = pytest.mark.slow


def r(folder: Path, program: str) -> str:
    """What a program of R prints; a missing R skips the test, and fails it under CI=true."""
    found = shutil.which("Rscript")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no R; run tests/install_r.sh")
        pytest.skip("no R; run tests/install_r.sh")
    (folder / "test.R").write_text(program)
    done = subprocess.run(
        [found, "--vanilla", "test.R"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def area(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_area(tmp_path_factory.mktemp("r") / "AL-01.h5", 1)


LABELS = {"tenure_type": 'Ténure, of "the" household \\ $x', "county_fips": "County"}
CHECKS = """
source("read.R", encoding = "UTF-8")
tables <- read_tables(".")
h <- tables$household
p <- tables$person
stopifnot(identical(as.vector(h$state_fips), c("01", "01")))
stopifnot(identical(as.vector(h$congressional_district_geoid), c("0101", "0101")))
stopifnot(identical(as.vector(h$county_fips), c("01003", "")))
stopifnot(identical(as.vector(h$block_geoid), c("010030107112001", "010030107112002")))
stopifnot(identical(as.vector(h$name)[2], "NA"))
stopifnot(identical(enc2utf8(as.vector(h$name)[1]), "\\u00d1and\\u00fa, \\"x\\""))
stopifnot(all(h$household_weight == c(10, 20.25)))
stopifnot(identical(attr(h$county_fips, "label"), "County"))
stopifnot(identical(enc2utf8(attr(h$tenure_type, "label")), "T\\u00e9nure, of \\"the\\" household \\\\ $x"))
stopifnot(is.na(p$age[3]), p$age[1] == 1.5)
stopifnot(any(grepl("AL_01", attr(p, "notes"), ignore.case = TRUE)))
cat("right\\n")
"""


def test_csv_without_any_package(area: Path, tmp_path: Path) -> None:
    pe_data.export(area, "csv", tmp_path / "out", labels=LABELS)
    more = """
stopifnot(identical(p$is_male, c(TRUE, FALSE, TRUE)), is.integer(p$person_id))
stopifnot("receives_wic@2024-01" %in% names(p))
"""
    assert r(tmp_path / "out", CHECKS + more).endswith("right\n")


def test_stata_with_haven(area: Path, tmp_path: Path) -> None:
    pe_data.export(area, "stata", tmp_path / "out", labels=LABELS)
    more = """
stopifnot(identical(as.character(haven::as_factor(p$is_male)), c("yes", "no", "yes")))
stopifnot("receives_wic_2024_01" %in% names(p))
stopifnot(any(grepl("Source:", attr(haven::read_dta("person.dta"), "notes"))))
"""
    assert r(tmp_path / "out", CHECKS + more).endswith("right\n")


def test_lists_are_factors_and_wide_integers_text(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"wide": [2**53 + 1, 2], "whole": [2**31, 2], "x": [0.1, float("inf")]})
    pe_data.export(frame, "csv", tmp_path / "out", labels={"x": "é 😀"})
    program = """
source("read.R", encoding = "UTF-8")
t <- read_tables(".")$table
stopifnot(identical(as.vector(t$wide), c("9007199254740993", "2")), t$whole[1] == 2147483648)
stopifnot(t$x[1] == 0.1, is.infinite(t$x[2]), identical(enc2utf8(attr(t$x, "label")), "\\u00e9 \\U0001f600"))
cat("right\\n")
"""
    assert r(tmp_path / "out", program) == "right\n"


def test_values_of_the_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a published dictionary, in both ways."""
    from export_helpers import DICTIONARY

    from pe_data.cli import run

    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    write_area(tmp_path / "areas/districts/AL-01.h5", 1)
    (tmp_path / "areas/dictionary.json").write_bytes(DICTIONARY.to_bytes())
    assert run(["publish", str(tmp_path / "areas"), "us/areas", "--run-id", "r1", "--licence", "CC0-1.0"]) == 0
    levels = f"c({', '.join(json.dumps(one) for one in TENURE)})"
    for to, factor in (("csv", "h$tenure_type"), ("stata", "haven::as_factor(h$tenure_type)")):
        out = tmp_path / to
        pe_data.export("pe-data://us/areas/districts/AL-01@latest", to, out)  # type: ignore[arg-type]
        program = f"""
source("read.R", encoding = "UTF-8")
h <- read_tables(".")$household
stopifnot(identical(levels({factor}), {levels}), identical(as.character({factor}), c("RENTED", "OWNED")))
stopifnot(identical(attr(h$tenure_type, "label"), "Tenure"))
cat("right\\n")
"""
        assert r(out, program) == "right\n"


def test_numbers_in_quotes_are_numbers(tmp_path: Path) -> None:
    """A carriage return alone in a text puts every text, and what is missing, into quotes."""
    frame = pd.DataFrame({"t": ["a\rb", "c"], "x": [1.5, np.nan], "yes": [True, False], "n": [3, 4]})
    pe_data.export(frame, "csv", tmp_path / "out")
    checks = """
source("read.R")
t <- read_tables(".")$table
stopifnot(identical(as.vector(t$x), c(1.5, NA)), identical(as.vector(t$yes), c(TRUE, FALSE)))
stopifnot(identical(as.vector(t$n), 3:4), identical(as.vector(t$t)[2], "c"))
cat("right")
"""
    assert r(tmp_path / "out", checks) == "right"

"""A small world to export: two districts in a collection with a dictionary, whose columns are hard to keep."""

from pathlib import Path

import h5py
import numpy as np

from pe_data.documents.dictionary import Dictionary, Variable

TENURE = ("NONE", "OWNED", "RENTED")
LONG = "self_employed_pension_contributions_desired"
NOTES = ("purpose: demonstration of the workflow; not an estimate of anything", "ages: partly imputed")


def write_area(path: Path, first: int, state: int = 1) -> Path:
    """An area file of three persons in two households, whose ids begin at `first`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.arange(first, first + 3, dtype=np.int32)
    with h5py.File(path, "w") as file:

        def put(name: str, values: object, period: str = "2024") -> None:
            file[f"{name}/{period}"] = values

        put("age", np.array([1.5, 40, np.nan], np.float32))
        put("person_id", ids)
        put("person_household_id", ids[[0, 0, 1]])
        put("is_male", np.array([True, False, True]), "ETERNITY")
        put(LONG, np.array([0.1, 2, 3], np.float64))
        for month in range(1, 13):
            put("receives_wic", np.arange(3) == month % 3, f"2024-{month:02d}")
            put(f"{LONG}_monthly", np.arange(3.0) + month, f"2024-{month:02d}")
        put("household_id", ids[:2])
        put("household_weight", np.array([10, 20.25], np.float32))
        put("state_fips", np.array([state, state], np.int32))
        put("congressional_district_geoid", np.array([100 * state + 1, 100 * state + 1], np.int32))
        put("county_fips", np.array([b"01003", b""]))
        put("block_geoid", np.array([b"010030107112001", b"010030107112002"]))
        put("tenure_type", np.array([b"RENTED", b"OWNED"]))
        put("name", np.array(['Ñandú, "x"'.encode(), b"NA"]))
    return path


DICTIONARY = Dictionary(
    variables=(
        Variable("age", "person", "year", "Age", "year", "In whole years."),
        Variable("receives_wic", "person", "month", "Receives WIC"),
        Variable("tenure_type", "household", "year", "Tenure", values=TENURE),
        Variable("household_weight", "household", "year", "Household weight"),
    )
)

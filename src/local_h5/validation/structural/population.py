"""Reference populations of areas, which are compared with the weighted persons of files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from local_h5 import us
from local_h5.areas import District, read_districts
from local_h5.contracts.config import StructuralConfig
from local_h5.errors import ConfigError
from local_h5.files.text_table import read_table

COLUMNS = ("area_type", "area_id", "population")

References = Mapping[tuple[str, str], float]
"""(area type, area id) → persons. An area without an entry is not compared."""


def reference_populations(config: StructuralConfig) -> References:
    """The references of a run.

    Args:
        config: of a run. ``validation.population.table`` is a CSV with the columns of :data:`COLUMNS`;
            without it the table of districts is the reference, and states and the nation are its sums.

    Raises:
        ConfigError: the table is missing, lacks a column, or has a population that is no positive number.
    """
    path = population_table(config)
    return (
        district_populations(read_districts(path)) if config.validation.population.table is None else _from_table(path)
    )


def population_table(config: StructuralConfig) -> Path:
    """The file with the references of a run."""
    return Path(config.validation.population.table or config.areas.districts)


def district_populations(districts: Iterable[District]) -> References:
    """Persons of each district of the table, and of the states and the nation, which are their sums."""
    persons: dict[tuple[str, str], float] = {}
    for district in districts:
        for key in (("district", district.name), ("state", district.state), ("national", us.NATIONAL_ID)):
            persons[key] = persons.get(key, 0.0) + district.population
    return persons


def _from_table(path: Path) -> References:
    try:
        _, rows = read_table(path, COLUMNS)
        persons = {(row["area_type"], row["area_id"]): float(row["population"]) for row in rows}
        if not persons or not all(0 < value < float("inf") for value in persons.values()):
            raise ValueError("a population that is not positive" if persons else "no row")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: validation.population.table: expected a CSV with the columns {', '.join(COLUMNS)}, found "
            f"{error}. Correct the table, or set it to null to compare with areas.districts."
        ) from error
    return persons

"""Every environment variable of the package is in one table of docs/storage.md, and no other is."""

import re
from pathlib import Path

import pe_data
import pe_data_gateway

PACKAGES = [Path(package.__file__).parent for package in (pe_data, pe_data_gateway)]
DOCUMENT = Path(__file__).parents[2] / "docs" / "storage.md"


def read_by_the_code() -> set[str]:
    return {
        name
        for package in PACKAGES
        for path in package.rglob("*.py")
        for name in re.findall(r"PE_DATA_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
    }


def test_the_table_of_variables_is_complete() -> None:
    settings = DOCUMENT.read_text(encoding="utf-8").partition("\n## Settings\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(PE_DATA_\w+)` \|", settings, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == read_by_the_code()

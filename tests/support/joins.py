"""Which row of a file each person's unit is, by the ids that the file holds."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def unit_rows(file: Mapping[str, Any], entity: str, period: str = "2024") -> np.ndarray:
    """Row of each person's ``entity``; ``file`` gives arrays by ``variable/period``."""
    row_of = {int(unit): row for row, unit in enumerate(file[f"{entity}_id/{period}"][()])}
    return np.array([row_of[int(unit)] for unit in file[f"person_{entity}_id/{period}"][()]])

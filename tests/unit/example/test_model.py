from pathlib import Path

import h5py
import numpy as np
import pytest
from example_tiny import states_of, units

from local_h5_example.source_h5 import SourceSettings, convert, write_source

pytestmark = pytest.mark.model


def test_the_model_loads_the_source_and_agrees_about_it(tmp_path: Path) -> None:
    from policyengine_us import Microsimulation
    from policyengine_us.spm import REJECTED_DATASET_INPUTS

    orphan = {"a_lineno": 2, "ffpos": 2, "age_head": 9, "n21": 0, "nu18": 1, "n24": 1}
    couple = {"MARS": 2, "age_head": 40, "age_spouse": 71, "n21": 3, "e00200s": 900, "nu13": 2, "nu18": 2, "n24": 2}
    table = units(
        couple | {"wic_ben": 5, "elderly_dependents": 1},
        orphan,
        *({"h_seq": number, "e00200p": 100 * number, "fips": 1 + number % 2} for number in range(1, 12)),
    )
    settings = SourceSettings(households=12, minimum_per_state=6)
    converted = convert(table, states_of((1, 2)), settings)
    path = tmp_path / "source.h5"
    write_source(path, converted, settings, {})
    with h5py.File(path) as file:
        names = set(file)
    simulation = Microsimulation(dataset=str(path))
    assert names <= set(simulation.tax_benefit_system.variables)
    assert not names & set(REJECTED_DATASET_INPUTS)

    def values(variable: str, period: str = "2024") -> np.ndarray:
        return np.asarray(simulation.calculate(variable, period, use_weights=False))

    roles = converted.source.values("tax_unit_role_input")
    for variable, role in (("is_tax_unit_head", b"HEAD"), ("is_tax_unit_spouse", b"SPOUSE")):
        assert np.array_equal(values(variable), roles == role)
    assert np.array_equal(values("employment_income"), converted.source.values("employment_income"))
    assert np.array_equal(values("receives_wic", "2024-07"), converted.source.values("receives_wic"))
    assert values("spm_unit_size").tolist() == np.bincount(converted.source.values("person_spm_unit_id"))[1:].tolist()
    assert (values("filing_status") == "JOINT").sum() == 1

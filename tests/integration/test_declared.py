"""What the model's source says of its variables, against the loaded model."""

import pytest

from local_h5.prepared.declared import ModelSource
from local_h5.prepared.model import _kind
from local_h5.prepared.places import has_formula

pytestmark = pytest.mark.model


class _Source:
    """What the kind of a variable needs of a source: its name, for messages."""

    path = "source.h5"


def test_the_source_says_what_the_model_has() -> None:
    from policyengine_us.spm import REJECTED_DATASET_INPUTS
    from policyengine_us.system import system

    model = ModelSource.installed()
    assert model is not None
    found = model.variables(system.variables)
    assert len(found) > 0.95 * len(system.variables)
    told = {name: one for name, one in found.items() if one.kind is not None}
    assert len(told) > 0.95 * len(found)
    for name, one in told.items():
        assert one.kind == _kind(_Source(), system.variables[name]), name  # type: ignore[arg-type]
    with_formula = {name for name in found if has_formula(system.variables[name])}
    assert with_formula - {name for name, one in found.items() if one.computed} == set()
    assert model.refused >= set(REJECTED_DATASET_INPUTS)

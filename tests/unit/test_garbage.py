"""Garbage is collected as before once the model is there, or is not."""

import gc
import sys

import pytest

from local_h5.errors import ModelError
from local_h5.prepared.garbage import THRESHOLD, rare_collections
from local_h5.validation.targets.country_model import CountryModel


def test_as_before() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold() == THRESHOLD
    assert gc.get_threshold() == before


def test_as_before_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "policyengine_us", None)
    before = gc.get_threshold()
    with pytest.raises(ModelError, match="Install the extra 'model' of local-h5"):
        CountryModel()
    assert gc.get_threshold() == before

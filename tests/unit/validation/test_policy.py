"""The policy's schema, the approval that follows from it, and how the work is shared out."""

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from validation_world import Run, with_validation

from local_h5.config.settings import Settings
from local_h5.contracts.policy import OnFailure, Policy
from local_h5.contracts.results import sidecar_path
from local_h5.errors import ConfigError
from local_h5.files import forms
from local_h5.files.atomic import sha256_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"level": "thorough"}, "level"),
        ({"on_failure": {"structural": "fail", "sanity": "fail"}}, "on_failure"),
        ({"on_failure": {"structural": "ignore", "sanity": "fail", "targets": "warn"}}, "on_failure.structural"),
        ({"max_share_failing": 1.5}, "max_share_failing"),
        ({"max_rel_abs_error": -0.1}, "max_rel_abs_error"),
        ({"min_targets": 0.5}, "min_targets"),
        ({"sanity_ceilings": {"snap": 0}}, "sanity_ceilings.snap"),
        ({"include": [{}]}, "include.0"),
        ({"exclude": [{"county": "37001"}]}, "exclude.0"),
        ({"overrides": [{"variable": "snap"}]}, "overrides.0"),
        ({"overrides": [{"area_type": "planet", "min_targets": 1}]}, "overrides.0"),
        ({"processes": 0}, "processes"),
        ({"processes": 1.5}, "processes"),
        ({"tolerance": 1}, "tolerance"),
        ({"training": "missing.pkl"}, "validation.training"),
        ({"population": {"table": "missing.csv", "max_rel_error": None}}, "validation.population.table"),
    ],
)
def test_what_the_schema_refuses(finished: Run, fields: Mapping[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        Settings.load(with_validation(finished, **fields).config)


def test_a_missing_field_is_refused(finished: Run) -> None:
    config = with_validation(finished).config
    for name in list(config["validation"]):
        cut = {**config, "validation": {key: value for key, value in config["validation"].items() if key != name}}
        with pytest.raises(ConfigError, match=name):
            Settings.load(cut)


def test_the_defaults(finished: Run) -> None:
    config = with_validation(finished, population={"table": None, "max_rel_error": None}).config
    policy = forms.convert(config["validation"], Policy, "test", ConfigError).of_run(example=True)
    assert (policy.level, policy.max_population_error) == ("structural", 0.005)
    assert policy.on_failure == OnFailure("fail", "fail", "warn")
    assert not policy.wants_targets


def approve(run: Run, area: str) -> tuple[int, str, Path]:
    """Exit status and message of the approval's job, and the approval."""
    settings = run.settings
    request = run.request(area)
    path = settings.layout.approval(request)
    done = subprocess.run(
        [
            sys.executable, ROOT / "scripts" / "publish_area.py", "--sidecar",
            sidecar_path(settings.layout.output(request)),
            "--records", settings.layout.record("structural", request), "--approval", path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stderr, path


def test_an_approval_says_which_file_may_be_published(run: Run) -> None:
    code, _, path = approve(run, "NC-01")
    assert code == 0
    data = json.loads(path.read_text())
    sidecar = sidecar_path(run.path("NC-01")).read_bytes()
    assert data == {
        "path": "districts/NC-01.h5",
        "sha256": json.loads(sidecar)["output"]["sha256"],
        "sidecar_sha256": hashlib.sha256(sidecar).hexdigest(),
        "records": {"structural": sha256_of(run.settings.layout.record("structural", run.request("NC-01")))},
        "validation": {"structural": "passed"},
    }


def test_a_failing_file_gets_no_approval_and_one_line_for_each_reason(run: Run) -> None:
    run.edit("NC-01", "household_weight", lambda v: v * 10)
    code, message, path = approve(run, "NC-01")
    assert (code, path.exists()) == (1, False)
    assert "another file" in message  # the record is of the file as it was built
    assert "Traceback" not in message
    warned = with_validation(run, on_failure={"structural": "warn", "sanity": "fail", "targets": "warn"})
    for which, expected in ((run, 1), (warned, 0)):
        which.check("NC-01")
        code, message, path = approve(which, "NC-01")
        assert (code, path.exists()) == (expected, not expected)
        assert ("persons, reference" in message) == bool(expected)


def test_an_approval_costs_no_numpy() -> None:
    code = "import sys; sys.path.insert(0, 'scripts'); import publish_area; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("n", [1, 2, 3, 7, 51, 1000])
def test_every_area_is_simulated_by_one_part_that_its_sources_name(finished: Run, n: int) -> None:
    config = with_validation(finished, processes=n).config
    config["areas"]["districts"] = str(ROOT / "config" / "districts_119.csv")
    settings = Settings.load(config)
    states = {r.area_id: settings.parts.own_of(r) for r in settings.requests if r.area_type == "state"}
    used = range(min(n, len(states)))  # a part without a state would have nothing to do
    assert set(states.values()) == set(used)
    sizes = Counter(district.state for district in settings.districts)
    loads = [sum(sizes[state] for state, part in states.items() if part == number) for number in used]
    assert max(loads) - min(loads) <= (2 if n <= 7 else max(sizes.values()))
    for request in settings.requests:
        sources = settings.parts.sources_of(request.name)
        inside = request.area_type in ("state", "district")
        assert sources == ((states[request.area_id[:2]],) if inside else tuple(used))
        assert settings.parts.own_of(request) in sources
        assert settings.parts.own_of(request) in settings.parts.readers_of(request)
        assert 0 in settings.parts.readers_of(request) or request.area_type == "district"


def test_a_pass_over_very_many_areas_is_not_quadratic(finished: Run) -> None:
    """Looking each area up among all others took 6 s here, and 600 s with 50,000 areas."""
    config = with_validation(finished).config
    here = [{"field": "county", "op": "eq", "value": "37063"}]
    config["areas"]["custom"] = [{"id": f"own{number}", "filters": here} for number in range(5000)]
    settings = Settings.load(config)
    keys = [request.name for request in settings.requests]
    started = time.process_time()
    assert sum(len(settings.parts.sources_of(key)) for key in keys) > len(keys)
    assert all(settings.parts.readers_of(request) for request in settings.requests)
    assert time.process_time() - started < 1

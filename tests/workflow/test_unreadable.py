"""Files of a colleague that this user may not read: one line wherever one is met, and never a traceback."""

import json

import pytest
from small_project import ROOT, Project
from test_shared_folder import needs_root, needs_setpriv, second_user

pytestmark = [pytest.mark.workflow, needs_root, needs_setpriv]

INPUTS = [
    f"inputs/{name}"
    for name in ("weights.npy", "geography.npz", "source.h5", "block_crosswalk.csv.gz", "districts.csv")
]
RUN = [
    "config/config.yaml",
    "results/districts/NC-01.h5",
    "results/districts/NC-01.h5.result.json",
    "results/districts",
    "results/validation/structural/districts/NC-01.json",
    "results/published/districts/NC-01.json",
    "results/prepared/config.json",
    "results/prepared/digests.json",
    "results/prepared/plan.json",
    "results/prepared/catalog.json",
    "results/prepared/source_snapshot.h5",
    "results/prepared/regional/clones.h5",
    "results/prepared",
    "results/.run.json",
]
COMMANDS = (["plan"], ["verify"], ["explain", "NC-01"], ["report"])


@pytest.fixture
def met(project: Project) -> list[tuple[str, list[str], int, str, str]]:
    """What each command does with each file."""
    command = [str(ROOT / "tests/support/without_rights.py"), *INPUTS, *RUN]
    for words in COMMANDS:
        command += ["--", *words]
    done = second_user(project, *command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_commands_say_it_in_one_line(met: list[tuple[str, list[str], int, str, str]]) -> None:
    assert len(met) == len(COMMANDS) * len(INPUTS + RUN)
    for name, command, status, err, out in met:
        where = f"{' '.join(command)} without {name}: {status} {err}{out}"
        assert "Traceback" not in err, where
        assert status in (0, 1), where
        assert len(err.splitlines()) == (1 if err else 0), where
        if err:
            assert err.startswith("error: "), where
            assert "Permission denied" in err, where
        if name in INPUTS and command != ["report"]:
            assert status == 1, where  # nobody can say whether files are those of inputs that cannot be read


@pytest.mark.parametrize(
    ("name", "status"),
    [("inputs/weights.npy", 1), ("results/districts/NC-01.h5", 1)],
)
def test_a_run_says_it_in_one_line_and_changes_nothing(project: Project, name: str, status: int) -> None:
    before = project.bytes_of_results()
    project.path(name).chmod(0)
    done = second_user(project, "-m", "snakemake", "-j", "1", "all")
    project.path(name).chmod(0o644)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(
        f"error: {name}: expected a file that this user may read, found Permission denied, a file of"
    )
    assert project.bytes_of_results() == before


@pytest.mark.parametrize("name", ["districts/NC-01.h5.result.json", "states/NC.h5"])
def test_publishing_says_it_in_one_line(project: Project, name: str) -> None:
    path = project.path(f"results/{name}")
    path.chmod(0)
    options = ("--config", "results/prepared/config.json", "--store", str(project.path("store")))
    done = second_user(project, "scripts/publish_collection.py", *options, "--release-manifest", "r.json")
    path.chmod(0o644)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"results/{name}" in done.stderr
    assert "Permission denied" in done.stderr


def test_verify_never_deletes_what_it_may_not_read(project: Project) -> None:
    for path in (project.sidecar("districts/NC-01"), project.h5("districts/NC-01")):
        path.chmod(0)
        done = second_user(project, "-c", "from local_h5.cli import main; main()", "verify", "--delete-stale")
        path.chmod(0o644)
        assert done.returncode == 1
        assert "Permission denied, a file of" in done.stdout + done.stderr
        assert "deleted" not in done.stderr
        if path.suffix == ".json":
            assert f"unreadable: districts/NC-01.h5: {path.relative_to(project.folder)}: Permission" in done.stdout
            assert "13 of 14 files are as they should be." in done.stdout
    assert project.h5("districts/NC-01").exists()
    assert project.sidecar("districts/NC-01").exists()

"""The profiles: what Snakemake makes of them, and what clouds that are not there are asked to run."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_project import ROOT, Project

pytestmark = [pytest.mark.workflow, pytest.mark.engines]

IMAGE = "registry.example/local-h5:1"
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
ENGINES = [name for name in PROFILES if name != "default"]


def profile(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


def site(name: str, folder: Path) -> list[str]:
    """What the command line has to add for a place."""
    return {
        "slurm": ["--slurm-direct-no-account"],
        "kubernetes": [
            "--container-image", IMAGE, "--kubernetes-volume-persistent-volumes", f"project:{folder.parent}",
        ],
        "googlebatch": [
            "--container-image", IMAGE, "--googlebatch-volume-project", "a-project", "--googlebatch-volume-region",
            "us-central1", "--googlebatch-volume-nfs", "10.0.0.2:/share", "--googlebatch-volume-mount-path",
            str(folder.parent),
        ],
    }[name]  # fmt: skip


def run(project: Project, *command: str) -> str:
    environment = project.environment()
    environment["PYTHONPATH"] += f"{os.pathsep}{ROOT / 'adapters/engines'}"
    done = subprocess.run(
        [sys.executable, *command], cwd=project.folder, env=environment, capture_output=True, text=True, timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_keeps_going_and_leaves_dates_to_the_comparison_by_content(name: str) -> None:
    settings = profile(name)
    assert settings["keep-going"] is True
    assert settings["rerun-triggers"] == "mtime"
    assert settings["rerun-incomplete"] is True


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_repeats_jobs_and_groups_areas(name: str) -> None:
    settings = profile(name)
    sizes = dict(item.split("=") for item in settings["group-components"])
    assert settings["retries"] >= 2
    assert all(int(sizes[f"areas_{folder}"]) >= 8 for folder in ("districts", "states", "cities", "custom"))
    assert settings["resources"] == ["area_slots=1"]
    assert settings["set-resource-scopes"] == ["area_slots=local"]


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_gets_the_executor_that_it_names(name: str, project: Project) -> None:
    code = "import sys; from snakemake.cli import parse_args; print(parse_args(sys.argv[1:])[1].executor)"
    # The default one is taken without being named.
    given = [] if name == "default" else ["--workflow-profile", f"profiles/{name}", *site(name, project.folder)]
    assert run(project, "-c", code, "all", *given).splitlines()[0] == profile(name)["executor"]


@pytest.mark.parametrize("name", ENGINES)
def test_a_profile_for_a_cluster_is_refused_where_the_default_one_overrides_it(name: str, project: Project) -> None:
    with pytest.raises(
        AssertionError, match=rf"error: --profile profiles/{name}: .*--workflow-profile profiles/{name}"
    ):
        run(project, "-m", "snakemake", "-n", "all", "--profile", f"profiles/{name}", *site(name, project.folder))


@pytest.mark.parametrize("name", ENGINES)
def test_a_dry_run_takes_the_profile_and_counts_the_same_jobs(name: str, project: Project) -> None:
    project.h5("districts/NC-01").unlink()
    text = run(
        project, "-m", "snakemake", "-n", "all", "--workflow-profile", f"profiles/{name}", *site(name, project.folder)
    )
    counts = dict(line.split() for line in text.splitlines() if line.startswith(("build_area ", "total ")))
    assert counts == {"build_area": "1", "total": "3"}  # with publish_area and all
    assert "Group job areas_districts" in text


@pytest.mark.parametrize("name", ["kubernetes", "googlebatch"])
def test_a_cloud_that_is_not_there_builds_the_same_bytes(
    name: str, built: Project, project: Project, tmp_path: Path
) -> None:
    districts = ["NC-01", "VA-02"]
    for district in districts:
        project.h5(f"districts/{district}").unlink()
    notes = tmp_path / "notes"
    notes.mkdir()
    run(
        project, str(Path(__file__).parent / "fake_clouds.py"), str(notes), "all",
        "--workflow-profile", f"profiles/{name}",
        *site(name, project.folder), "--seconds-between-status-checks", "1", "--latency-wait", "10",
    )  # fmt: skip

    (note,) = notes.glob("*.json")  # one job for both: they are a group
    job = {"kubernetes": kubernetes_job, "googlebatch": google_job}[name](json.loads(note.read_text()), project)
    assert job["image"] == IMAGE
    assert job["megabytes"] >= 600
    assert job["command"].startswith(f"cd {project.folder} && python -m snakemake --snakefile ")
    assert all(f"area={district}" in job["command"] for district in districts)
    assert "--default-storage-provider" not in job["command"]
    assert "pip install" not in job["command"]
    assert project.bytes_of_results() == built.bytes_of_results()


def kubernetes_job(job: Mapping[str, Any], project: Project) -> dict[str, Any]:
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert job["spec"]["backoffLimit"] == 0  # Snakemake repeats
    assert pod["restartPolicy"] == "Never"
    assert {"mountPath": str(project.folder.parent), "name": "project"} in container["volumeMounts"]
    assert {"name": "project", "persistentVolumeClaim": {"claimName": "project"}} in pod["volumes"]
    resources = container["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    assert resources["requests"]["cpu"] == "950m"
    return {
        "image": container["image"],
        "megabytes": int(resources["limits"]["memory"].removesuffix("M")),
        "command": container["args"][1],
    }


def google_job(job: Mapping[str, Any], project: Project) -> dict[str, Any]:
    (group,) = job["taskGroups"]
    task, mount = group["taskSpec"], str(project.folder.parent)
    assert job["parent"] == "projects/a-project/locations/us-central1"
    assert task["maxRetryCount"] == 0
    assert task["maxRunDuration"] == "600s"  # five minutes for each of two areas
    (volume,) = task["volumes"]
    assert (volume["nfs"], volume["mountPath"]) == ({"server": "10.0.0.2", "remotePath": "/share"}, mount)
    (container,) = [item["container"] for item in task["runnables"] if item.get("container", {}).get("imageUri")]
    assert f"{mount}:{mount}" in container["volumes"]
    assert int(task["computeResource"]["cpuMilli"]) == 1000
    (policy,) = [item["policy"] for item in job["allocationPolicy"]["instances"]]
    assert policy["bootDisk"]["image"].endswith("/batch-cos-stable-official")
    script = task["runnables"][0]["script"]["text"]
    return {
        "image": container["imageUri"],
        "megabytes": math.floor(int(task["computeResource"]["memoryMib"]) * 2**20 / 1e6),
        "command": script.split("<<'END-OF-JOB'\n")[1],
    }


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("kubernetes", "--kubernetes-volume-persistent-volumes", "project:/elsewhere"),
        ("googlebatch", "--googlebatch-volume-mount-path", "/elsewhere"),
        ("googlebatch", "--googlebatch-volume-nfs", "server"),
    ],
)
def test_a_project_that_is_not_on_the_volume_is_refused(
    name: str, option: str, value: str, project: Project, tmp_path: Path
) -> None:
    project.h5("districts/NC-01").unlink()
    with pytest.raises(AssertionError, match=rf"{option}: expected .* docs/clusters.md"):
        run(
            project, str(Path(__file__).parent / "fake_clouds.py"), str(tmp_path),
            "--workflow-profile", f"profiles/{name}", "all", *site(name, project.folder), option, value,
        )  # fmt: skip
    assert not list(tmp_path.glob("*.json"))


def test_the_image_has_what_the_rules_need_and_no_copy_of_the_project() -> None:
    lines = (ROOT / "containers/Dockerfile").read_text().splitlines()
    copied = [line for line in lines if line.startswith(("COPY", "ADD"))]
    assert copied == ["COPY ${LOCK} /tmp/requirements.lock"]
    assert any("--require-hashes" in line for line in lines)
    assert (ROOT / "requirements.lock").exists()

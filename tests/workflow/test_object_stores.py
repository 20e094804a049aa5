"""Raw inputs from an object store, and results to one: copied once, and again when what they come from is newer."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from small_project import ROOT

pytestmark = [pytest.mark.workflow, pytest.mark.engines]

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)
    return boto3.client("s3", endpoint_url=endpoint)


def copy(workflow: str, folder: Path, endpoint: str, *config: str) -> str:
    keys = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "test", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "test"}
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "-s", str(ROOT / f"adapters/engines/{workflow}.smk"), "--cores", "1",
            "--storage-s3-endpoint-url", endpoint, "--config", *config,
        ],
        cwd=folder, env=os.environ | KEYS | keys, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stage(folder: Path, endpoint: str) -> None:
    copy("stage_inputs", folder, endpoint, "from=s3://raw/us", "to=inputs", "files=weights.npy source.h5")


def test_inputs_come_from_a_bucket(endpoint: str, client: Any, tmp_path: Path) -> None:
    client.create_bucket(Bucket="raw")
    client.put_object(Bucket="raw", Key="us/weights.npy", Body=b"weights")
    client.put_object(Bucket="raw", Key="us/source.h5", Body=b"source")
    stage(tmp_path, endpoint)
    weights, source = tmp_path / "inputs/weights.npy", tmp_path / "inputs/source.h5"
    assert (weights.read_bytes(), source.read_bytes()) == (b"weights", b"source")

    long_ago = time.time() - 1000
    os.utime(weights, (long_ago, long_ago))
    client.put_object(Bucket="raw", Key="us/weights.npy", Body=b"new weights")
    before = source.stat().st_mtime_ns
    stage(tmp_path, endpoint)
    assert weights.read_bytes() == b"new weights"
    assert source.stat().st_mtime_ns == before


def test_results_go_to_a_bucket(endpoint: str, client: Any, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for area, approved in (
        ("districts/NC-01", "this"),
        ("districts/NC-02", ""),
        ("states/NC", "this"),
        ("states/VA", "old"),
    ):
        sidecar = f"first {area}.h5.result.json" if approved == "this" else "an earlier one"
        approval = json.dumps({"sidecar_sha256": sha256(sidecar.encode()).hexdigest()})
        texts = {name: f"first {name}" for name in (f"{area}.h5", f"{area}.h5.result.json")}
        for name, text in {**texts, **({f"published/{area}.json": approval} if approved else {})}.items():
            path = results / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            os.utime(path, (time.time() - 1000,) * 2)
    client.create_bucket(Bucket="files")

    def objects() -> dict[str, str]:
        found = client.list_objects_v2(Bucket="files").get("Contents", [])
        return {
            item["Key"]: client.get_object(Bucket="files", Key=item["Key"])["Body"].read().decode() for item in found
        }

    deliver = ("deliver_results", tmp_path, endpoint, "from=results", "to=s3://files/1.0")
    copy(*deliver)
    expected = {
        f"1.0/{name}": f"first {name}"
        for area in ("districts/NC-01", "states/NC")
        for name in (f"{area}.h5", f"{area}.h5.result.json")
    }
    assert objects() == expected
    assert "Nothing to be done" in copy(*deliver)

    (results / "districts/NC-01.h5").write_text("second")
    copy(*deliver)
    assert objects() == expected | {"1.0/districts/NC-01.h5": "second"}

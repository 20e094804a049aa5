"""Raw inputs from an object store: copied once, again when the object is newer."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from small_project import ROOT

pytestmark = [pytest.mark.workflow, pytest.mark.engines]

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def stage(folder: Path, endpoint: str) -> None:
    keys = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "test", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "test"}
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "-s", str(ROOT / "adapters/engines/stage_inputs.smk"), "--cores", "1",
            "--storage-s3-endpoint-url", endpoint, "--config", "from=s3://raw/us", "to=inputs",
            "files=weights.npy source.h5",
        ],
        cwd=folder, env=os.environ | KEYS | keys, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_inputs_come_from_a_bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)
    client: Any = boto3.client("s3", endpoint_url=endpoint)
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

"""Read by every Python of a test run on Slurm, because its folder is on PYTHONPATH.

LOCAL_H5_TEST_CPU names a folder in which each process leaves its command and its CPU seconds. LOCAL_H5_TEST_BALLAST
(``states/NY:450``) makes the job of an area hold that many megabytes more, long enough to be seen.
"""

import atexit
import json
import os
import sys
import time
import uuid
from pathlib import Path


def _report(folder: str) -> None:
    spent = time.process_time()
    record = {"command": sys.orig_argv, "cpu": spent}
    Path(folder, f"{uuid.uuid4()}.json").write_text(json.dumps(record))


def _hold(area: str, megabytes: str) -> None:
    if f"results/{area}.h5" in sys.orig_argv and any(word.endswith("build_area.py") for word in sys.orig_argv):
        ballast = bytearray(b"\1") * (int(megabytes) << 20)
        time.sleep(5)  # several times the interval at which Slurm looks
        del ballast


if "LOCAL_H5_TEST_CPU" in os.environ:
    atexit.register(_report, os.environ["LOCAL_H5_TEST_CPU"])
if "LOCAL_H5_TEST_BALLAST" in os.environ:
    _hold(*os.environ["LOCAL_H5_TEST_BALLAST"].split(":"))

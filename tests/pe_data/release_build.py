"""Build a few made-up area files for docs/release-manager.md, each with its sidecar.

    release_build.py FOLDER [HEAVIER]

writes FOLDER/districts/*.h5 and FOLDER/states/NC.h5. In the file HEAVIER (districts/NC-02) one household weighs more.
"""

import sys
from pathlib import Path

from diff_helpers import write_run

WEIGHTS = (120.0, 80.0, 200.0)
NAMES = ("districts/NC-01", "districts/NC-02", "districts/NC-03", "states/NC")

if __name__ == "__main__":
    folder, *heavier = sys.argv[1:]
    files = {name: tuple(weight * (number + 1) for weight in WEIGHTS) for number, name in enumerate(NAMES)}
    for name in heavier:
        files[name] = (*files[name][:2], files[name][2] + 100)
    write_run(Path(folder), files)

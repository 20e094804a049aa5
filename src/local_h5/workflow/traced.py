"""Run a step's script and, if it ends well, write the step's trace.

The rules call ``python -m local_h5.workflow.traced --config … STEP scripts/….py ARGUMENTS``. The script alone makes the
same files, but without a trace, and the next run makes them again.
"""

import argparse
import runpy
import sys
from pathlib import Path

from local_h5.config.settings import Settings
from local_h5.files.digests import DigestMemo
from local_h5.runs.steps import declared_steps
from local_h5.runs.traces import inputs_now, trace_of
from local_h5.workflow.command import end_in_one_line


def run_step(step: str, path_to_config: Path, command: list[str]) -> None:
    """Run a script in this process.

    Args:
        step: name of the step.
        path_to_config: resolved configuration (JSON).
        command: path of the script, and its arguments.

    Raises:
        InputError: an input of the step changed while it ran. Then there is no trace.
    """
    settings = Settings.read(path_to_config)
    # The memo belongs to the main process. A job reads it and does not write it.
    memo = DigestMemo.open(settings.layout.memo)
    declared = declared_steps(settings, memo)[step]
    before = inputs_now(declared, memo)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")
    trace_of(declared, before, memo).write(settings.layout.trace(step))


def main() -> None:
    """Parse the options before the script, and run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved configuration (JSON)")
    parser.add_argument("step", help="name of the step")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="script and its arguments")
    args = parser.parse_args()
    run_step(args.step, args.config, args.command)


if __name__ == "__main__":
    end_in_one_line(main)

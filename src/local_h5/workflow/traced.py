"""Run a step's script and, when it has ended well, write the step's trace.

``python -m local_h5.workflow.traced --config … STEP scripts/….py ARGUMENTS``, for the rules. By hand the script alone
does the same, but nobody then knows what its files came from, and the next run makes them again.
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
    """Run a script in this process, as if it had been started by itself.

    Args:
        step: name of the step.
        path_to_config: resolved configuration (JSON).
        command: path of the script, and its arguments.

    Raises:
        InputError: an input of the step changed while it ran; there is no trace then.
    """
    settings = Settings.read(path_to_config)
    # The memo belongs to the main process; a job reads it and keeps what it learns to itself.
    memo = DigestMemo.open(settings.layout.memo)
    declared = declared_steps(settings, memo)[step]
    before = inputs_now(declared, memo)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")
    trace_of(declared, before, memo).write(settings.layout.trace(step))


def main() -> None:
    """Parse what stands before the script, and run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved configuration (JSON)")
    parser.add_argument("step", help="name of the step")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="script and its arguments")
    args = parser.parse_args()
    run_step(args.step, args.config, args.command)


if __name__ == "__main__":
    end_in_one_line(main)

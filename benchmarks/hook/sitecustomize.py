"""Every Python process below a benchmark leaves its cost behind when it ends: a line in the file ``$PROCESS_LOG``.

Python imports this by itself when the folder is on ``PYTHONPATH``; about a millisecond, which is part of the figures.
Snakemake's own benchmark files sample every 30 seconds, which says little about jobs of half a second. The line has,
separated by tabs: start and end (seconds of the clock), user and system CPU seconds, peak memory in KiB, the command.
"""

import atexit
import os
import resource
import sys
import time

_LOG = os.environ.get("PROCESS_LOG")
_STARTED = time.time()


def _leave() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss, which begins with the peak of whoever started the process.
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 (no import of pathlib)
        peak = next((line.split()[1] for line in status if line.startswith("VmHWM")), "0")
    times = f"{_STARTED:.3f}\t{time.time():.3f}\t{usage.ru_utime:.4f}\t{usage.ru_stime:.4f}"
    line = f"{times}\t{peak}\t{' '.join(sys.argv)}\n"
    log = os.open(str(_LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, line.encode())
    os.close(log)


if _LOG:
    atexit.register(_leave)

"""Commands of `local-h5` while one file after another may not be read: run it as a user without root's rights.

    python without_rights.py FILE... -- COMMAND... -- COMMAND...

Every file belongs to this user, who takes the right to read it away, runs each command and gives the right back.
Writes a JSON list of `[file, command, exit status, standard error, standard output]`; commands run in this process, so
that many cost one start.
"""

import contextlib
import io
import json
import sys
import traceback
from itertools import groupby
from pathlib import Path

from local_h5.cli import main


def run(*command: str) -> tuple[int, str, str]:
    sys.argv = ["local-h5", *command]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            status = 99
            traceback.print_exc()
    return status, err.getvalue(), out.getvalue()


files, *commands = [list(group) for is_end, group in groupby(sys.argv[1:], lambda word: word == "--") if not is_end]
found = []
for name in files:
    path = Path(name)
    mode = path.stat().st_mode & 0o777
    for command in commands:
        path.chmod(0)
        try:
            found.append([name, command, *run(*command)])
        finally:
            path.chmod(mode)
sys.stdout.write(json.dumps(found))

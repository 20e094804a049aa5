"""How a script ends: quietly, or with one line on standard error."""

import sys
from collections.abc import Callable

from local_h5.errors import LocalH5Error


def run(main: Callable[[], None]) -> None:
    """Run a script's ``main``; an error of ours becomes one line and exit status 1, never a traceback."""
    try:
        main()
    except LocalH5Error as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)

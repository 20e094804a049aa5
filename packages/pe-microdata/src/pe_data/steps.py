"""Named steps of operations that must survive being killed.

An operation calls its hook with the name of each step it has reached. By default nothing
happens; the tests hand in a hook that kills the process at one name, so that every crash point
is tried by name and not by luck of timing.
"""

from collections.abc import Callable

StepHook = Callable[[str], None]


def ignore(step: str) -> None:
    """The default hook: go on."""

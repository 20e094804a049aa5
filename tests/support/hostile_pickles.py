"""Objects whose pickles would run code, did a reader let them."""

from typing import Any


class Call:
    """Pickles as a call of ``function``, which a real unpickler would make."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


class Build:
    """Pickles as ``function(*args)`` whose result then gets a state."""

    def __init__(self, function: Any, args: tuple[Any, ...], state: Any) -> None:
        self.parts = function, args, state

    def __reduce__(self) -> Any:
        return self.parts

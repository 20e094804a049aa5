"""The documents of a store: what each holds, how it is read and how it is written. See `document`."""

import sys

if "typing_extensions" not in sys.modules:
    # msgspec takes from it what typing has in every Python that we run on; it is slow to import.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # looks as if it were not installed
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]

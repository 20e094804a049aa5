"""Geography fields that a whole state lacks, because the block tables have no rows of it."""

from collections.abc import Mapping

from local_h5 import us

TABLES, DATASET = "the block tables have", "the dataset has"
"""Where places come from, with the verb."""


def empty_fields(coverage: Mapping[str, Mapping[str, float]], source: str = TABLES) -> list[str]:
    """A sentence for each state that has no value of some field that it should have.

    Args:
        coverage: postal code of a state → field → share of household weight with a value, 0 to 1 (of its sidecar).
        source: of the places: :data:`TABLES`, or the :data:`DATASET` itself.
    """
    sentences = []
    for state, shares in sorted(coverage.items()):
        empty = sorted(name for name, share in shares.items() if share == 0 and name not in us.WITHOUT.get(state, ()))
        if empty:
            sentences.append(
                f"{state} has no value of {', '.join(empty)} anywhere: {source} none, and an area that is "
                f"defined by {'it' if len(empty) == 1 else 'one of them'} lacks {state}."
            )
    return sentences

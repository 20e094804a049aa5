"""What somebody may have meant by a name that does not exist: an area, a key of a configuration, a dataset.

Each distribution works without the other, so `local_h5` and `pe_data` both have this module; a test compares them.
"""

import re
from collections.abc import Iterable, Mapping

_MOST = 3
_WORDS = re.compile(r"[^\W\d_]+|\d+")


def folded(name: str) -> str:
    """A name in small letters, its words and numbers with single spaces between, without signs and leading zeros.

    ``NC-01``, ``nc_1`` and ``Nc01`` are all ``nc 1``; ``max_rel_error`` and ``Max-Rel-Error`` are ``max rel error``.
    """
    return " ".join(word.lstrip("0") or "0" for word in _WORDS.findall(name.casefold()))


def nearest(name: str, known: Iterable[str] | Mapping[str, Iterable[str]], most: int = _MOST) -> list[str]:
    """The known names that are most like a name, best first.

    Capitals, hyphens, underscores and leading zeros make no difference. A name that differs in nothing else is the only
    answer; otherwise some letters may be wrong.

    Args:
        name: that does not exist.
        known: those that do; or what may be written → the names that it stands for.
        most: so many at most.
    """
    import difflib  # on use: area jobs read modules that use this one

    stands_for: dict[str, dict[str, None]] = {}
    pairs = known.items() if isinstance(known, Mapping) else ((one, (one,)) for one in known)
    for written, names in pairs:
        stands_for.setdefault(folded(written), {}).update(dict.fromkeys(names))
    wanted = folded(name)
    near = [wanted] if wanted in stands_for else difflib.get_close_matches(wanted, stands_for, most, 0.65)
    return list(dict.fromkeys(one for word in near for one in stands_for[word]))[:most]


def did_you_mean(name: str, known: Iterable[str] | Mapping[str, Iterable[str]], most: int = _MOST) -> str:
    """``Did you mean NC-01 or NC-10?``, or an empty text; see :func:`nearest`."""
    found = nearest(name, known, most)
    return f"Did you mean {' or '.join(found)}?" if found else ""


def completions(begun: str, *known: Iterable[str]) -> list[str]:
    """The names that begin as a word does, for the completion of a shell: of the first list that has any.

    Capitals make no difference, and ``_`` stands for ``-``.
    """
    wanted = begun.casefold().replace("_", "-")
    for names in known:
        if found := [name for name in dict.fromkeys(names) if name.casefold().replace("_", "-").startswith(wanted)]:
            return found
    return []

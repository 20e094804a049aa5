"""A map with several measures in a page of HTML, of which its script (`pe_data/pages/map.js`) shows one at a time."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from pe_data.maps.draw import Frame, Measure, drawn, hatch, legend, rules
from pe_data.maps.scale import palette

WITHIN = "#map "
"""Selector of the picture."""


def colours(*, dark: bool = False) -> str:
    """Style of every class of a map on a page."""
    return rules(palette(dark=dark), WITHIN)


def on_page(
    measures: Mapping[str, Measure],
    where: Frame,
    *,
    names: Mapping[str, str],
    status: Mapping[str, str],
    marked: Iterable[str] = (),
) -> dict[str, Any]:
    """What a page needs for one map with all measures that have a value; empty without one.

    Args:
        measures: key → numbers of districts, in the order of the selector.
        where: where districts lie.
        names: district → its name, where it has one.
        status: district → a word or two about it.
        marked: districts that get a dot.

    Returns:
        ``svg`` as text to be inserted, ``names`` (key and title of each measure), ``marked`` (whether a district has a
        dot), and ``data`` for the script: districts in order, their names and words, and for each measure class and
        words of each district.
    """
    shown = {name: measure for name, measure in measures.items() if measure.has_values}
    if not shown:
        return {}
    first = next(iter(shown.values()))
    dotted = set(marked)
    marks = "".join(
        f'<circle cx="{x + 7:g}" cy="{y + 7:g}" r="2.4"/>' for name, (x, y) in where.middles.items() if name in dotted
    )
    legends = "".join(
        f'<g data-measure="{escape(name, quote=True)}"{"" if measure is first else " hidden"}>{legend(measure)}</g>'
        for name, measure in shown.items()
    )
    return {
        "svg": (
            f'<svg xmlns="http://www.w3.org/2000/svg" id="map" role="group" aria-label="Congressional districts"'
            f' viewBox="-6 -6 {where.width + 12:g} {where.height + 66:g}">'
            f"<defs>{hatch('hatch', 'var(--hatch)', 'var(--hatch-line)')}</defs>"
            f'{drawn(where, first, titles=False)}<g class="marks">{marks}</g>'
            f'<g transform="translate(0 {where.height + 14:g})">{legends}</g></svg>'
        ),
        "names": [(name, measure.title) for name, measure in shown.items()],
        "marked": bool(marks),
        "data": {
            "districts": list(where.paths),
            "middles": [[round(x), round(y)] for x, y in (where.middles[name] for name in where.paths)],
            "names": [names.get(name, "") for name in where.paths],
            "status": [status.get(name, "") for name in where.paths],
            "measures": {
                name: {
                    "title": measure.title,
                    "classes": " ".join(measure.class_of(district) for district in where.paths),
                    "words": [measure.written(district) for district in where.paths],
                }
                for name, measure in shown.items()
            },
        },
    }

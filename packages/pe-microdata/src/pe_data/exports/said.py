"""What travels along with the rows: title, licence, notes, citation, and where they are from."""

from collections.abc import Mapping
from dataclasses import dataclass

from pe_data.documents.collection import demonstrations
from pe_data.read.lookup import Entry


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of the whole."""

    name: str
    """In one word, or `country/dataset`."""
    title: str
    years: tuple[int, ...] = ()
    licences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title, with the year, and first of all that it is a demonstration if a note says so."""
        years = ", ".join(map(str, self.years))
        return f"{'Demonstration: ' if demonstrations(self.notes) else ''}{self.title}{f', {years}' if years else ''}"

    def lines(self) -> tuple[str, ...]:
        """For people: heading, notes, licence, citation, and the first sources."""
        told = [f"{_WORDS.get(kind, '')}{text}" for kind, text in self.kinds()]
        more = len(self.sources) - _SHOWN
        return (*told[:-more], f"and {more} more sources, in datapackage.json") if more > 0 else tuple(told)

    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Kind and text of each line that is said."""
        return (
            ("title", self.heading),
            *(("note", note) for note in self.notes),
            *(("licence", licence) for licence in self.licences),
            *(("citation", citation) for citation in self.citations),
            *(("source", source) for source in self.sources),
        )


_SHOWN = 3
_WORDS = {"licence": "Licence: ", "citation": "Cite as: ", "source": "Source: "}


def said_of(origins: Mapping[str, Entry], years: tuple[int, ...]) -> Said:
    """What is said of files that are exported together, by member; each line once, in the order of the files."""
    every = list(origins.values())
    first = every[0]
    dataset = f"{first.manifest.country}/{first.manifest.dataset}"
    if len(every) == 1:
        title = first.about.title or f"{dataset}{f', {first.about.area}' if first.about.area else ''}"
    else:
        title = f"{dataset}, {len(every)} areas"
    return Said(
        dataset,
        title,
        years,
        tuple(dict.fromkeys(one.manifest.licence for one in every)),
        tuple(dict.fromkeys(note for one in every for note in one.about.notes)),
        tuple(dict.fromkeys(one.about.citation for one in every if one.about.citation)),
        tuple(
            f"{one.manifest.country}/{one.manifest.dataset}{f'/{name}' if name else ''} "
            f"sha256:{one.manifest.artifact.sha256}"
            for name, one in origins.items()
        ),
    )

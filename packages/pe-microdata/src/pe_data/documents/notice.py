"""What is told of a gated dataset to those who showed no token: its name, the licence, and how to apply.

The list of a gated file's columns is covered by its licence, and which areas exist and how large they are is nobody
else's business. So a list, a comparison or a schema without a token says this and nothing else, and so do, whoever asks
for them, the descriptions that are made to be passed on (Croissant, Frictionless).
"""

from dataclasses import dataclass
from typing import Literal

from pe_data.documents.manifest import Manifest
from pe_data.errors import ForbiddenError
from pe_data.names.countries import UNSPECIFIED, Access, access_of, gated_codes, terms_of


@dataclass(frozen=True, slots=True)
class Notice:
    """All that is told."""

    country: str
    dataset: str
    licence: str
    how_to_apply: str
    access: Literal["gated"] = "gated"

    @classmethod
    def of(cls, country: str, dataset: str, licence: str | None = None) -> "Notice":
        """Of a dataset; `licence` is the one that it was published under, if that is known."""
        terms = terms_of(country)
        return cls(
            country, dataset, licence if licence not in (None, UNSPECIFIED) else terms.licence, terms.how_to_apply
        )

    def line(self) -> str:
        """One line for a person."""
        return f"{self.country}/{self.dataset} is gated. Licence: {self.licence}. How to apply: {self.how_to_apply}"


class WithheldError(ForbiddenError):
    """Something is gated, and no token was shown; the text is its notice and nothing else."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice.line())
        self.notice = notice


def is_gated(country: str, access: Access | None = None) -> bool:
    """Whether data of a country are gated, by the table or by what their manifest says."""
    return access_of(country) == "gated" or access == "gated"


def notice_of(manifest: Manifest) -> Notice | None:
    """What is told of a gated file; None for a public one. A file of no store is its owner's to describe."""
    if manifest.access == "gated" or manifest.country in gated_codes():
        return Notice.of(manifest.country, manifest.dataset, manifest.licence)
    return None

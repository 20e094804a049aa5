"""The one page of gated data: in the catalogue of a store, and at `/` of its gateway."""

from collections.abc import Sequence

from pe_data.documents.notice import Notice
from pe_data.pages.templates import SHARED, environment, style


def gated_page(notices: Sequence[Notice]) -> str:
    """Name, licence and how to apply of each, in a page that links to and loads nothing of the place where it stands.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    return environment(SHARED).get_template("gated.html").render(notices=notices, css=style())

"""What is published, by whom, and of what it was made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import vadose
from vadose.publish.licences import Terms, spdx_of, strictest, terms_of

#: Stands where nobody has said it; nothing is made up.
NOT_STATED = "not stated"


class About(BaseModel):
    """Say who publishes a product and under which name; what is left out reads "not stated".

    Attributes
    ----------
    creator, creator_email, creator_url
        Who made the product.
    institution
        Where.
    publisher, publisher_email, publisher_url
        Who gives it out; the creator unless given.
    project
        Within which project.
    doi
        Of the product, without ``https://doi.org/``.
    naming_authority
        Whose name `id` is unique in, such as ``org.example``.
    licence
        Terms of the product itself, beside those of its inputs.
    keywords
        Beside those that follow from the variables.
    comment, acknowledgement
        Free text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    creator: str = NOT_STATED
    creator_email: str = NOT_STATED
    creator_url: str = NOT_STATED
    institution: str = NOT_STATED
    publisher: str | None = None
    publisher_email: str | None = None
    publisher_url: str | None = None
    project: str = NOT_STATED
    doi: str | None = Field(default=None, pattern=r"^10\.\d{4,}/\S+$")
    naming_authority: str = NOT_STATED
    licence: str = NOT_STATED
    keywords: list[str] = Field(default=[])
    comment: str | None = None
    acknowledgement: str | None = None

    @property
    def missing(self) -> list[str]:
        """List what an archive will ask for and nobody has said.

        Examples
        --------
        >>> About(creator="A. Hydrologist", institution="Soil Institute").missing[:2]
        ['creator_email', 'creator_url']
        """
        said = self.model_dump()
        return [name for name, value in said.items() if value == NOT_STATED]


@dataclass(frozen=True)
class Input:
    """Name the files of one source with one licence and citation.

    Attributes
    ----------
    files
        Their names.
    licence, citation
        As the records of the run have them.
    """

    files: tuple[str, ...]
    licence: str
    citation: str


@dataclass(frozen=True)
class Publication:
    """Say what a product is, for whoever has the export alone.

    Attributes
    ----------
    title
        Of the study.
    target
        Its variable.
    summary
        What it is, in a sentence or two.
    source
        How it was made: software and method.
    history
        What happened to it.
    created
        When, ISO 8601.
    version
        Digest that changes with the recipe.
    command
        What repeats the run.
    inputs
        What went in.
    notes
        What a reader must know.
    about
        Who publishes it.
    made_by
        What was done, as one looks for it in a catalogue.
    """

    title: str
    target: str
    summary: str
    source: str
    history: str
    created: str
    version: str
    command: str
    inputs: tuple[Input, ...]
    notes: tuple[str, ...] = ()
    about: About = field(default_factory=About)
    made_by: str = "downscaling"

    @property
    def keywords(self) -> list[str]:
        """List what it is found by, each once.

        Examples
        --------
        >>> Publication("t", "soil_moisture", "", "", "", "", "0", "", ()).keywords
        ['soil moisture', 'downscaling']
        """
        return list(dict.fromkeys(["soil moisture", self.made_by, *self.about.keywords]))

    @property
    def identifier(self) -> str:
        """Give a name without blanks: the DOI, or one made of the title and the version.

        Examples
        --------
        >>> made = Publication("Soil, 1 km", "soil_moisture", "", "", "", "", "0a1b2c3d4e", "", ())
        >>> made.identifier
        'soil-1-km-0a1b2c3d'
        """
        if self.about.doi is not None:
            return self.about.doi
        return f"{self.slug}-{self.version[:8]}"

    @property
    def slug(self) -> str:
        """Give the title as a name of files."""
        plain = self.title.lower().replace("°", "deg")
        return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-")[:60].strip("-.") or "product"

    @property
    def creator(self) -> str:
        """Name the creator; where nobody is named, what made it is."""
        return self.about.creator if self.about.creator != NOT_STATED else software()

    @property
    def licences(self) -> list[str]:
        """List the terms of the product and of all inputs, each once."""
        own = [] if self.about.licence == NOT_STATED else [self.about.licence]
        found = list(dict.fromkeys([*own, *(one.licence for one in self.inputs)]))
        return found or [NOT_STATED]

    @property
    def strictest(self) -> Terms:
        """Give the terms of an input that bind most."""
        return strictest([one.licence for one in self.inputs] or [NOT_STATED])

    @property
    def is_too_open(self) -> bool:
        """Tell whether the makers give away what an input does not.

        Examples
        --------
        >>> asked = Input(("a.nc",), "free for non-commercial use", NOT_STATED)
        >>> said = About(licence="CC-BY-4.0")
        >>> Publication("t", "soil_moisture", "", "", "", "", "0", "", (asked,), about=said).is_too_open
        True
        """
        asks = terms_of(self.about.licence).rank
        return self.about.licence != NOT_STATED and bool(self.inputs) and asks < self.strictest.rank

    @property
    def spdx(self) -> str | None:
        """Give the name of the product's licence in catalogues, where it holds for all of it."""
        return None if self.is_too_open else spdx_of(self.about.licence)

    @property
    def citations(self) -> list[str]:
        """List what is to be cited, each once.

        Examples
        --------
        >>> one = Input(("a.nc",), "free", "Ek (2003), doi:10.1/x; Li (2004)")
        >>> Publication("t", "soil_moisture", "", "", "", "", "0", "", (one, one)).citations
        ['Ek (2003), doi:10.1/x', 'Li (2004)']
        """
        texts = [one.citation for one in self.inputs if one.citation != NOT_STATED]
        parts = [part.strip() for text in texts for part in text.split(";")]
        return list(dict.fromkeys(part for part in parts if part))


def software() -> str:
    """Name what makes products."""
    return f"vadose {vadose.__version__}"


def inputs_of(rows: Sequence[dict[str, Any]]) -> tuple[Input, ...]:
    """Put the records of a run's files together by licence and citation.

    Examples
    --------
    >>> row = {"sha256": "", "licence": "free", "citation": "Ek (2003)"}
    >>> [one.files for one in inputs_of([{"name": "a.nc", **row}, {"name": "b.nc", **row}])]
    [('a.nc', 'b.nc')]
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        terms = (row.get("licence") or NOT_STATED, row.get("citation") or NOT_STATED)
        groups.setdefault(terms, []).append(row["name"])
    return tuple(Input(tuple(names), *terms) for terms, names in groups.items())

"""Citations taken apart as far as it can be done without guessing, in the words of CITATION.cff."""

from __future__ import annotations

import re
from typing import Any

_DOI = re.compile(r"\b10\.\d{4,}/[^\s;,]+[^\s;,.)]")
_YEAR = re.compile(r"\((\d{4})[a-z]?\)")
#: As in "De Lannoy, G. J. M."; a family name starts with at most two capital words or particles.
_PERSON = re.compile(
    r"([^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*){0,2}), ((?:[A-Z]\.[ -]?)+)(?:, | and |$)"
)
#: A journal, its volume and a page, as in "Earth Syst. Sci. Data 11:717" or "... 257, 112321".
_ARTICLE = re.compile(r"^(?P<journal>\D+?) (?P<volume>\d+)(?:: ?|, )(?P<start>\d+)")


def reference(text: str) -> dict[str, Any]:
    """Take apart a line of citation.

    Parameters
    ----------
    text
        As records have it: authors, year in brackets, where it stands, and a DOI.

    Returns
    -------
    dict
        A reference of CITATION.cff 1.2.0. Its title is the whole line, for records have no title.

    References
    ----------
    Druskat et al. (2021), Citation File Format 1.2.0, doi:10.5281/zenodo.5171937

    Examples
    --------
    >>> cited = reference("Ek and Li (2003), J. Soil 12:34, doi:10.1000/soil.1")
    >>> cited["type"], cited["journal"], cited["volume"], cited["start"], cited["doi"]
    ('article', 'J. Soil', 12, 34, '10.1000/soil.1')
    >>> cited["authors"]
    [{'family-names': 'Ek'}, {'family-names': 'Li'}]
    """
    doi, year = _DOI.search(text), _YEAR.search(text)
    before = text[: year.start()] if year else text.split(",")[0]
    rest = text[year.end() :].lstrip(" ,.") if year else ""
    article = _ARTICLE.match(rest)
    told: dict[str, Any] = {
        "type": "article" if article else "data",
        "title": text,
        "authors": authors(before, is_dated=year is not None) or [{"name": text}],
    }
    if year:
        told["year"] = int(year[1])
    if article:
        told["journal"] = article["journal"]
        told["volume"], told["start"] = int(article["volume"]), int(article["start"])
    if doi:
        told["doi"] = doi[0]
    return told


def authors(text: str, *, is_dated: bool) -> list[dict[str, str]]:
    """Give persons where they are told apart for sure, else the words as the name of one body.

    Examples
    --------
    >>> authors("Al Bitar, A. and Kerr, Y. H. et al.", is_dated=True)[1:]
    [{'family-names': 'Kerr', 'given-names': 'Y. H.'}, {'name': 'et al.'}]
    >>> authors("FAO & IIASA", is_dated=True)
    [{'name': 'FAO & IIASA'}]
    """
    names = text.removeprefix("doi:").strip(" ,")
    plain = re.sub(r",? et al\.?$", "", names)
    others = [{"name": "et al."}] if plain != names else []
    full = _PERSON.findall(plain)
    if full and not _PERSON.sub("", plain).strip(" ,"):
        people = [{"family-names": one, "given-names": given.strip()} for one, given in full]
        return people + others
    parts = re.split(r", | and | & ", plain)
    is_people = all(re.fullmatch(r"[^\W\d_]['’\w]*[a-z]['’\w]*(?:-\w+)*", part) for part in parts)
    if is_people and (others or is_dated):
        return [{"family-names": part} for part in parts] + others
    return [{"name": names}] if names else []

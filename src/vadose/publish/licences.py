"""Which of the terms of a product's inputs binds most: those hold for what is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What is asked, from open to strict, with the words by which records say it.
_ASKED = (
    ("no condition", r"\bcc0\b|public domain|free and open|(?:no|without) restrictions?"),
    (
        "attribution",
        r"\bcc[- ]by\b|attribution|\bcit(?:e|ation)\b|odc-by|copernicus|apache|\bmit\b",
    ),
    ("the same terms for what is made of it", r"[- ]sa\b|share[- ]?alike|odbl|\bgpl"),
    ("no commercial use", r"[- ]nc\b|non-?commercial|(?:research|academic) (?:use )?only"),
    ("nothing made of it", r"[- ]nd\b|no[- ]?deriv"),
    ("permission", r"permission|on request|not (?:be )?redistribut|no redistribution|proprietary"),
)
#: Stands above all that is understood.
UNKNOWN = len(_ASKED)
#: Names of terms that catalogues know.
_SPDX = re.compile(
    r"CC0-1\.0|CC-BY(?:-NC)?(?:-SA|-ND)?-[1-4]\.0|ODbL-1\.0|ODC-By-1\.0|PDDL-1\.0|MIT|Apache-2\.0"
)


@dataclass(frozen=True)
class Terms:
    """Say what a licence asks, as far as its words are understood.

    Attributes
    ----------
    text
        The licence as the record has it.
    asks
        What it asks, from open to strict; empty where its words are not understood.
    """

    text: str
    asks: tuple[str, ...]

    @property
    def rank(self) -> int:
        """Give how strict it is: what is not understood may ask anything."""
        names = [name for name, _ in _ASKED]
        return names.index(self.asks[-1]) if self.asks else UNKNOWN


def terms_of(text: str) -> Terms:
    """Read what a licence asks.

    Examples
    --------
    >>> terms_of("CC BY-NC-SA 3.0 IGO (FAO)").asks[1:]
    ('the same terms for what is made of it', 'no commercial use')
    >>> terms_of("ask the office").asks
    ()
    """
    found = [name for name, words in _ASKED if re.search(words, text, re.IGNORECASE)]
    return Terms(text, tuple(found[1:] if len(found) > 1 and found[0] == "no condition" else found))


def strictest(texts: Iterable[str]) -> Terms:
    """Give the terms that bind most, the first of equals.

    Examples
    --------
    >>> strictest(["CC BY 4.0", "free for non-commercial use", "ESA: free and open"]).text
    'free for non-commercial use'
    """
    return max((terms_of(text) for text in texts), key=lambda terms: terms.rank)


def spdx_of(text: str) -> str | None:
    """Give the name under which catalogues know a licence, if it has one.

    Examples
    --------
    >>> spdx_of("CC BY 4.0"), spdx_of("CC-BY-4.0"), spdx_of("ESA, free")
    ('CC-BY-4.0', 'CC-BY-4.0', None)
    """
    name = re.sub(r"^CC[ -]", "CC-", text.strip()).replace(" ", "-")
    return name if _SPDX.fullmatch(name) else None

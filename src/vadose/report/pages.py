"""Templates of pages, and links in texts that somebody wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vadose.errors import MissingExtra

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_LINK = re.compile(r"https?://[\w./~%+:;=?@&#()-]+[\w/]")


def environment() -> Environment:
    """Give the templates of pages; all text is escaped, and an unknown name is an error.

    Raises
    ------
    MissingExtra
        When jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtra("jinja2", extra="report") from error
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("vadose.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["linked"] = linked
    return templates


#: Where the list of sections goes; text of others is escaped, so none can hold it.
_CONTENTS = "<!-- contents -->"
_SECTION = re.compile(r'<section id="([a-z_]+)">\s*<h2>(.*?)</h2>', re.DOTALL)


def with_contents(page: str) -> str:
    """Put the list of a page's sections where its template asks for it.

    Examples
    --------
    >>> with_contents('<!-- contents --><section id="maps"><h2>Maps</h2></section>')[:76]
    '<nav aria-label="Contents"><ol><li><a href="#maps">Maps</a></li></ol></nav><'
    """
    links = "".join(
        f'<li><a href="#{name}">{title}</a></li>' for name, title in _SECTION.findall(page)
    )
    return page.replace(_CONTENTS, f'<nav aria-label="Contents"><ol>{links}</ol></nav>', 1)


def linked(text: str) -> Markup:
    """Escape a text and turn the web addresses in it into links.

    Examples
    --------
    >>> print(linked("<b> see https://doi.org/10.1000/1."))
    &lt;b&gt; see <a href="https://doi.org/10.1000/1">https://doi.org/10.1000/1</a>.
    """
    from markupsafe import Markup, escape

    parts: list[Markup] = []
    end = 0
    for match in _LINK.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(Markup('<a href="{0}">{0}</a>').format(match.group()))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])

"""The files of the page: a fixed table, read once, so that no address reaches the file system."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

#: Files under ``static/`` by the address they have, with their kind.
FILES = {
    "index.html": "text/html; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "map.css": "text/css; charset=utf-8",
    "address.js": "text/javascript; charset=utf-8",
    "ask.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "frames.js": "text/javascript; charset=utf-8",
    "legend.js": "text/javascript; charset=utf-8",
    "map.js": "text/javascript; charset=utf-8",
    "outlines.js": "text/javascript; charset=utf-8",
    "series.js": "text/javascript; charset=utf-8",
    "stations.js": "text/javascript; charset=utf-8",
    "swipe.js": "text/javascript; charset=utf-8",
    "words.js": "text/javascript; charset=utf-8",
    "vendor/leaflet/leaflet.js": "text/javascript; charset=utf-8",
    "vendor/leaflet/leaflet.css": "text/css; charset=utf-8",
    "vendor/leaflet/LICENSE": "text/plain; charset=utf-8",
    "vendor/uplot/uPlot.iife.min.js": "text/javascript; charset=utf-8",
    "vendor/uplot/uPlot.min.css": "text/css; charset=utf-8",
    "vendor/uplot/LICENSE": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Page:
    """Hold one file."""

    content: bytes
    kind: str
    tag: str


@cache
def pages() -> dict[str, Page]:
    """Read all files of the page.

    Examples
    --------
    >>> pages()["index.html"].content[:15]
    b'<!doctype html>'
    """
    folder = resources.files("vadose.serve") / "static"
    made = {}
    for name, kind in FILES.items():
        content = folder.joinpath(*name.split("/")).read_bytes()
        made[name] = Page(content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return made

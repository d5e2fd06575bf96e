"""Show a run on a map in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vadose.report.outlines import read_outlines

if TYPE_CHECKING:
    from vadose.serve.guard import Guard


def map_of(run: Path) -> Guard:
    """Make the application that shows a run, with the outlines that the report's maps have."""
    from vadose.serve import create_app

    return create_app(run, outlines=read_outlines)


def serve_map(run: Path, port: int, tell: Callable[[str], None]) -> None:
    """Answer on the loopback address until interrupted."""
    from vadose.serve import serve_app

    serve_app(map_of(run), port, tell)

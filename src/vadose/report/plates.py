"""Plates: figures of the report with the numbers they show, drawn one at a time and kept as files."""

from __future__ import annotations

import base64
import csv
import gzip
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vadose.errors import FileProblem
from vadose.report.journals import Journal, fit_to, print_settings
from vadose.report.style import png
from vadose.store import replaced

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Rows of a table of data beyond which it is compressed, and beyond which it is thinned evenly too.
PLAIN_ROWS, MOST_ROWS = 60_000, 2_000_000
#: Kinds of files made of every figure.
SUFFIXES = ("png", "pdf", "svg", "csv", "csv.gz")
#: The list of all figures in the folder.
INDEX = "index.csv"


@dataclass(frozen=True)
class Plate:
    """Know how to draw one figure of the report, and the numbers in it.

    Attributes
    ----------
    name
        Name of its files, without suffix.
    paint
        Draws it.
    alternative
        What it shows, in words, for those who cannot see it.
    data
        Gives its numbers as a table.
    """

    name: str
    paint: Callable[[], Figure]
    alternative: str
    data: Callable[[], pd.DataFrame]


@dataclass(frozen=True)
class Picture:
    """Hold one figure as it stands on the page.

    Attributes
    ----------
    name
        Name of the file, without its suffix.
    alternative
        What it shows, in words.
    """

    name: str
    content: bytes
    alternative: str

    @property
    def source(self) -> str:
        """Give the picture as a data URL."""
        return "data:image/png;base64," + base64.b64encode(self.content).decode("ascii")


def draw_plates(
    plates: Iterable[Plate], folder: Path | None, journal: Journal | None = None
) -> dict[str, Picture]:
    """Draw all plates for the page and, where there is a folder, keep each as PNG, PDF, SVG and CSV.

    The table of a large map is a compressed CSV; how many of its rows are kept stands in `INDEX`.

    Parameters
    ----------
    plates
        What to draw; one figure is held at a time.
    folder
        Where the files go, made if it is missing; those of an earlier report that this one does not have are
        removed. None keeps no files.
    journal
        Sizes of the files; those of the page unless given.

    Returns
    -------
    dict
        Pictures by name.

    Raises
    ------
    FileProblem
        When the folder cannot be written to.
    """
    pictures: dict[str, Picture] = {}
    rows: list[dict[str, str | int]] = []
    try:
        for plate in plates:
            figure = plate.paint()
            pictures[plate.name] = Picture(plate.name, png(figure), plate.alternative)
            if folder is not None:
                folder.mkdir(exist_ok=True)
                rows.append(_keep(plate, figure, pictures[plate.name].content, folder, journal))
        if folder is not None:
            _index(folder, rows)
    except OSError as error:
        raise FileProblem(
            folder or Path(),
            found=f"a folder that cannot be written to ({error.strerror})",
            remedy="Free some space or choose another folder for the run.",
        ) from error
    return pictures


def _keep(
    plate: Plate, figure: Figure, content: bytes, folder: Path, journal: Journal | None
) -> dict[str, str | int]:
    from matplotlib import rc_context

    data = plate.data()
    step = -(-len(data) // MOST_ROWS) or 1
    files: dict[str, bytes] = {}
    settings: dict[Any, Any] = {} if journal is None else print_settings()
    with rc_context(settings):
        if journal is not None:
            fit_to(figure, journal)
            content = png(figure, dots_per_inch=journal.dots_per_inch)
        # all is in its place, and finding it takes longer than drawing
        figure.set_layout_engine("none")
        for suffix in ("pdf", "svg"):
            files[suffix] = vector(figure, suffix, is_for_print=journal is not None)
    for suffix, drawn in {"png": content, **files}.items():
        _write(folder / f"{plate.name}.{suffix}", drawn)
    kept = f"{plate.name}.csv"
    table = data.iloc[::step].to_csv(index=False, float_format="%.6g").encode()
    if len(data) > PLAIN_ROWS:
        # without a time, so that the same table has the same bytes
        kept, table = f"{kept}.gz", gzip.compress(table, compresslevel=6, mtime=0)
    _write(folder / kept, table)
    # a table that has grown or shrunk leaves none of the other kind
    (folder / f"{plate.name}.{'csv' if kept.endswith('gz') else 'csv.gz'}").unlink(missing_ok=True)
    return {
        "figure": plate.name,
        "shows": plate.alternative,
        "data": kept,
        "data_rows": -(-len(data) // step),
        "data_rows_of": len(data),
    }


def vector(figure: Figure, suffix: str, *, is_for_print: bool = False) -> bytes:
    """Draw a figure as PDF or SVG, the same bytes for the same figure.

    For print, PDFs embed TrueType: journals refuse the outlines that take a third of the time to make.
    """
    from matplotlib import rc_context

    content = io.BytesIO()
    nothing = {"Date": None} if suffix == "svg" else {"CreationDate": None, "Producer": None}
    settings: dict[Any, Any] = {
        "svg.hashsalt": "vadose",
        "svg.fonttype": "none",
        "pdf.fonttype": 42 if is_for_print else 3,
    }
    with rc_context(settings):
        figure.savefig(content, format=suffix, metadata={**nothing, "Creator": None})
    return content.getvalue()


def _index(folder: Path, rows: list[dict[str, str | int]]) -> None:
    """List the figures, and remove those that an earlier list has and this one has not."""
    path = folder / INDEX
    names = {str(row["figure"]) for row in rows}
    if path.exists():
        listed = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        for row in listed:
            name = row.get("figure") or ""
            # the list is a file like any other: it must not lead out of the folder
            if name and name not in names and Path(name).name == name:
                for suffix in SUFFIXES:
                    (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    _write(path, pd.DataFrame(rows).to_csv(index=False).encode())


def _write(path: Path, content: bytes) -> None:
    with replaced(path, overwrite=True) as partial:
        partial.write_bytes(content)

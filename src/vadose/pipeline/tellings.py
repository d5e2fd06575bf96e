"""The verbs that tell of a finished run: pages, a map, files for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadose.errors import need
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.progress import Progress, quiet

if TYPE_CHECKING:
    from vadose.publish import Verdict


def report(
    path: str | Path,
    *,
    style: str = "screen",
    with_files: bool = True,
    dates: Sequence[str] = (),
    progress: Progress = quiet,
) -> Path:
    """Tell a run, or a folder of `fuse`, in one HTML page that opens offline.

    Parameters
    ----------
    path
        The folder.
    style
        Sizes of the figures' files, for a journal: see `vadose.report.journals.STYLES`.
    with_files
        Keep every figure as PNG, PDF, SVG and CSV in ``figures/``.
    dates
        Dates to show as maps, ISO 8601; some evenly chosen ones unless given.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.reporting import tell

    _need_pages()
    return tell(Path(path), style=style, with_files=with_files, dates=dates, progress=progress)


def explain(
    path: str | Path,
    *,
    method: str | None = None,
    samples: int = 2000,
    seed: int | None = None,
    progress: Progress = quiet,
) -> Path:
    """Explain a fitted method: what it relies on, how, and whether that holds at the fine scale.

    Parameters
    ----------
    path
        Folder of a run whose models are fitted. Nothing but its explanation is changed.
    method
        Which method; the published one, or the first with a model in it, unless given.
    samples
        Places of each scale that the model is asked for.
    seed
        Of all that is drawn; that of the recipe unless given.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.explaining import explain_method
    from vadose.report.explanation import write_explanation

    _need_pages()  # before minutes of work, not after
    folder = RunFolder(Path(path))
    explain_method(folder, method=method, samples=samples, seed=seed, progress=progress)
    with progress("Drawing the explanation"):
        return write_explanation(folder.path)


def serve(path: str | Path, *, port: int = 8321, tell: Callable[[str], None] = print) -> None:
    """Show a run, or a folder of `fuse`, on a map in the browser; on this machine only, until interrupted.

    Parameters
    ----------
    path
        The folder; where there is no run yet, or half of one, the page says so.
    port
        Port to listen on; 0 for any free one.
    tell
        Called with the address when it answers.

    Raises
    ------
    MissingExtra, ValueProblem
        When the libraries of the extra ``serve`` are not there, or the port is taken.
    """
    from vadose.pipeline.serving import serve_map

    serve_map(Path(path), port, tell)


def export(
    path: str | Path,
    out: str | Path | None = None,
    *,
    about: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Path:
    """Export a product for archives and other tools: CF netCDF, GeoZarr, GeoTIFF by day, STAC, terms.

    Parameters
    ----------
    path
        Folder of a run whose product is written, or of a fusion.
    out
        Folder of the export; ``export`` in that of the run unless given. A stopped export goes on there.
    about
        YAML that says who publishes it, see `vadose.publish.About`.
    overwrite
        Replace an export that is there, once the new one is complete.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        Folder of the export.

    Raises
    ------
    VadoseError
        With the text to show; what is finished stays for the next call.
    """
    need("pystac", extra="publish")
    from vadose.pipeline.exporting import EXPORT, export_run, looked_at

    run, said = Path(path), None if about is None else Path(about)
    place = run / EXPORT if out is None else Path(out)
    looked_at(run, place, about=said, overwrite=overwrite)  # faults first, before a bar is shown
    with progress("Exporting") as step:
        return export_run(run, place, about=said, overwrite=overwrite, step=step)


def check_export(path: str | Path, *, progress: Progress = quiet) -> list[Verdict]:
    """Run every validator on an export; one verdict for each.

    Raises
    ------
    FileProblem, MissingExtra
        No export, or a validator that is not installed.
    """
    need("pystac", extra="publish")
    from vadose.pipeline.exporting import check

    with progress("Checking the export") as step:
        return check(Path(path), step)


def _need_pages() -> None:
    """Insist on what pages and figures are made with."""
    for library in ("jinja2", "matplotlib"):
        need(library, extra="report")

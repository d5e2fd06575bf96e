"""The page of a fused record: one HTML file made from a folder of ``vadose fuse`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from vadose.errors import FileProblem
from vadose.grids import grid_of
from vadose.report import chapters, dates, fusion_charts
from vadose.report.fusion import Told, read_fusion
from vadose.report.journals import find_style
from vadose.report.pages import environment, with_contents
from vadose.report.plates import Plate, draw_plates
from vadose.report.runs import Provenance, read_record, read_text
from vadose.report.scene import day_words
from vadose.report.tables import cell_size, input_rows, made_rows, whole
from vadose.report.trust import Layer, draw_layers, layers_table, mean_over_dates
from vadose.schema import check_cube
from vadose.store import open_cube, replaced

TARGET = "soil_moisture"


def is_fused(folder: Path) -> bool:
    """Tell a folder of ``vadose fuse`` from that of a run."""
    return (folder / "fused.zarr").is_dir() and (folder / "fusion.json").is_file()


def write_fused_report(folder: Path, *, style: str = "screen", with_files: bool = True) -> Path:
    """Write ``report.html`` into a folder of ``vadose fuse``, and every figure into ``figures/``.

    Parameters
    ----------
    folder
        The folder; nothing outside it is read.
    style, with_files
        As in `vadose.report.html.write_report`.

    Returns
    -------
    pathlib.Path
        The page. It has its final name only when it is complete.

    Raises
    ------
    FileProblem, RunProblem
        When the folder is not that of a finished fusion, or cannot be written to.
    UnknownName
        No such style.
    MissingExtra
        When matplotlib or jinja2 is not installed.
    """
    templates, journal = environment(), find_style(style)
    folder = Path(folder)
    manifest = read_record(folder / "manifest.json", Provenance)
    told = read_fusion(folder)
    if told is None:
        raise FileProblem(
            folder, found="no fusion.json", expected="a folder that `vadose fuse` has written"
        )
    cube = check_cube(
        open_cube(folder / "fused.zarr"),
        required=[TARGET, "origin"],
        source=str(folder / "fused.zarr"),
    )
    content, plates = _tell(cube, told)
    pictures = draw_plates(plates, folder / "figures" if with_files else None, journal)
    page = templates.get_template("fused.html.j2").render(
        {
            "manifest": manifest,
            "pictures": pictures,
            "recipe": read_text(folder / "recipe.yaml"),
            "warnings": {},
            "is_own_page": True,
            "inputs": input_rows(manifest.inputs),
            "provenance": made_rows(manifest),
            "fusion": told,
            **content,
        }
    )
    target = folder / "report.html"
    with replaced(target, overwrite=True) as partial:
        partial.write_text(with_contents(page), encoding="utf-8")
    return target


def _tell(cube: xr.Dataset, told: Told) -> tuple[dict[str, Any], list[Plate]]:
    """Give what the template shows of the record, and its plates."""
    grid = grid_of(cube)
    unit = str(cube[TARGET].attrs.get("units", "m3 m-3"))
    plates = list(chapters.fusion(told).plates)
    shares = fusion_charts.origins_by_date(cube)
    day = fusion_charts.fused_day(cube, grid)
    if day is not None:
        plates.append(
            Plate(
                "fused_day",
                lambda: dates.draw_days([day], unit=unit),
                f"Maps of {day.when}: what was observed, and the seamless field.",
                lambda: dates.days_table([day]),
            )
        )
    if len(shares) > 1:
        plates.append(
            Plate(
                "origins",
                lambda: fusion_charts.origin_bars(shares),
                "Shares of the land by origin of its value on every date.",
                lambda: shares,
            )
        )
    layers = []
    if f"{TARGET}_uncertainty" in cube:
        field, count = mean_over_dates(cube[f"{TARGET}_uncertainty"])
        layers.append(Layer(f"Standard error of filled values, mean over {count} dates", field))
    if f"{TARGET}_lower" in cube and f"{TARGET}_upper" in cube:
        upper, count = mean_over_dates(cube[f"{TARGET}_upper"])
        lower, _ = mean_over_dates(cube[f"{TARGET}_lower"])
        layers.append(Layer(f"Width of the interval, mean over {count} dates", upper - lower))
    if layers:
        plates.append(
            Plate(
                "widths",
                lambda: draw_layers(
                    layers, grid, label="standard error, width of the interval", unit=unit
                ),
                "Maps of the mean standard error of filled values and of the width of their intervals.",
                lambda: layers_table(layers, grid),
            )
        )
    times = cube["time"].values
    rows, columns = grid.shape
    content = {
        "period": f"{day_words(times[0])} to {day_words(times[-1])}",
        "dates": whole(len(times)),
        "cell_size": cell_size(grid),
        "shape": f"{whole(rows)} × {whole(columns)} cells",
        "fused_when": "" if day is None else f"{day.when}, {day.remark}",
    }
    return content, plates

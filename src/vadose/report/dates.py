"""Chosen dates of a run: the coarse field before and after its gaps were filled, and the product beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.errors import ValueProblem
from vadose.grids import grid_of
from vadose.report.figures import add_colour_bar, draw_map, value_limits
from vadose.report.frames import frame_of
from vadose.report.graticule import draw_graticule
from vadose.report.runs import Run
from vadose.report.scales import draw_scale_bar
from vadose.report.scene import day_words
from vadose.report.style import moisture_colours, new_figure, pretty_unit, set_title
from vadose.store import open_cube

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from odc.geo.geobox import GeoBox

Field = npt.NDArray[np.floating]

#: Dates that are shown where none are asked for.
SHOWN = 3
#: Dates on which gaps are looked for, evenly chosen over a long record.
LOOKED_AT = 400
#: Share of the land whose values are missing from which on a date is one of gaps.
GAPPY = 0.02
#: Least share that was observed: a date without any observation shows no edge of a gap.
SOME = 0.1
#: Height of a map over its width beyond which fewer rows fit a page.
WIDTH = 10.6


@dataclass(frozen=True)
class Day:
    """Hold the fields of one date, by title, each on its grid, and what is to be said of it."""

    when: str
    fields: tuple[tuple[str, Field, GeoBox], ...]
    remark: str = ""


def evenly(steps: int, most: int) -> npt.NDArray[np.int64]:
    """Choose steps, the first and the last among them, no more than so many.

    Examples
    --------
    >>> evenly(9, 3)
    array([0, 4, 8])
    """
    return np.unique(np.linspace(0, steps - 1, min(steps, most)).round().astype("i8"))


def chosen_places(run: Run, asked: Sequence[str]) -> list[int]:
    """Give the places of the dates to show along the product's time: those asked for, or evenly chosen ones.

    Raises
    ------
    ValueProblem
        A date that the product does not have.
    """
    product = run.product[run.manifest.target]
    if "time" not in product.dims:
        return []
    times = product["time"].values
    if not asked:
        if len(times) < 2:
            return []
        # the first and the last of a record are its least typical
        return [int(place) for place in evenly(len(times), SHOWN + 2)[1:-1]] or [0]
    places = []
    for one in asked:
        try:
            day = np.datetime64(one, "ns")
        except ValueError as error:
            raise ValueProblem(
                "--date", found=repr(one), expected="a date such as 2020-01-31"
            ) from error
        found = np.flatnonzero(times == day)
        if not len(found):
            found = np.flatnonzero(times.astype("M8[D]") == day.astype("M8[D]"))
        if not len(found):
            raise ValueProblem(
                "--date",
                found=one,
                expected=f"a date of the product, {day_words(times[0])} to {day_words(times[-1])}",
            )
        places.append(int(found[0]))
    return list(dict.fromkeys(places))


def read_days(run: Run, places: Sequence[int]) -> list[Day]:
    """Read coarse input, product and, where there is one, truth of some dates."""
    target = run.manifest.target
    product = run.product[target]
    days = []
    for place in places:
        time = product["time"].values[place]
        fields = [("Coarse input", _at(run.coarse[target], time), run.coarse_grid)]
        fields.append(("Downscaled", _at(product, time), run.fine_grid))
        if run.truth is not None:
            fields.append(("Truth", _at(run.truth[target], time), run.fine_grid))
        days.append(Day(day_words(time), tuple(fields)))
    return days


def gappiest(run: Run, *, among: Sequence[int] | None = None) -> Day | None:
    """Read the date whose coarse input had most gaps of those that the product fills; None where there is none.

    Of long records so many dates are looked at, evenly chosen; with `among` these places alone.
    """
    target = run.manifest.target
    kept = run.path / "coarse_observed.zarr"
    observed = open_cube(kept) if kept.is_dir() else run.coarse
    coarse, product = observed[target], run.product[target]
    if "time" not in coarse.dims or "time" not in product.dims:
        return None
    steps = product.sizes["time"]
    places = evenly(steps, LOOKED_AT) if among is None else np.asarray(among, "i8")
    at = coarse["time"].to_index().get_indexer(product["time"].to_index()[places])
    if (at < 0).any():
        return None
    seen = coarse.isel(time=at).notnull().values
    # one date alone does not tell land from sea
    known = (
        seen
        if among is None
        else coarse.isel(time=evenly(coarse.sizes["time"], LOOKED_AT)).notnull().values
    )
    is_land = known.any(axis=0)
    total = max(int(is_land.sum()), 1)
    seen_share = seen[:, is_land].sum(axis=1) / total
    order = np.argsort(seen_share, kind="stable")
    some = [index for index in order if SOME <= seen_share[index] <= 1 - GAPPY]
    none = [index for index in order if seen_share[index] < SOME]
    # of the days with most gaps, the first on which the product has values there
    for index in [*some[:8], *none[:8]]:
        time = product["time"].values[places[index]]
        fine = _at(product, time)
        if not np.isfinite(fine).any():
            continue
        fields = [("Observed", _at(coarse, time), grid_of(observed))]
        if kept.is_dir():
            fields.append(("Gaps filled", _at(run.coarse[target], time), run.coarse_grid))
        fields.append(("Downscaled", fine, run.fine_grid))
        share = f"{100 * (1 - seen_share[index]):.0f} % of the land unobserved"
        return Day(day_words(time), tuple(fields), share)
    return None


def draw_days(days: Sequence[Day], *, unit: str) -> Figure:
    """Draw one date as a row of fields, several as columns of them, all in one colour scale."""
    grid = days[0].fields[-1][2]
    fields = len(days[0].fields)
    is_row = len(days) == 1
    rows, columns = (1, fields) if is_row else (fields, len(days))
    frame = frame_of(grid, pixels=700)
    wide = WIDTH / max(columns, 2)
    figure = new_figure(WIDTH, rows * (wide / frame.aspect + 0.3) + 0.6, layout="compressed")
    axes = figure.subplots(rows, columns, squeeze=False)
    low, high = value_limits([field for day in days for _, field, _ in day.fields])
    for number, day in enumerate(days):
        for place, (title, field, own) in enumerate(day.fields):
            row, column = (0, place) if is_row else (place, number)
            panel = axes[row, column]
            image = draw_map(
                panel, frame, grid, frame.warp(field, own),
                cmap=moisture_colours(), vmin=low, vmax=high,
            )  # fmt: skip
            is_corner = column == 0 and row == rows - 1
            draw_graticule(panel, frame, labels=not frame.is_global and is_corner)
            if is_corner:
                draw_scale_bar(panel, frame)
            # the date stands over its fields, once
            set_title(panel, f"{title}, {day.when}" if place == 0 else title)
    add_colour_bar(figure, image, list(axes.ravel()), f"soil moisture ({pretty_unit(unit)})")
    return figure


def days_table(days: Sequence[Day]) -> pd.DataFrame:
    """Lay fields out as a table: ``date, field, x, y, value``; gaps are left out."""
    parts = []
    for day in days:
        for title, field, grid in day.fields:
            rows, columns = np.nonzero(np.isfinite(field))
            x = grid.affine.c + grid.affine.a * (columns + 0.5)
            y = grid.affine.f + grid.affine.e * (rows + 0.5)
            parts.append(
                pd.DataFrame(
                    {
                        "date": day.when,
                        "field": title,
                        "x": x,
                        "y": y,
                        "value": field[rows, columns],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _at(array: xr.DataArray, time: np.datetime64) -> Field:
    if "time" not in array.dims:
        return np.asarray(array.squeeze(drop=True).values)
    return np.asarray(array.sel(time=time).squeeze(drop=True).values)

"""What a judgement is asked for, and what is opened for it: products, stations, and who may not be a judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import UnknownName, ValueProblem
from vadose.grids import grid_of
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.places import (
    SERIES,
    USED_BY_PRODUCT,
    open_places,
    own_stations,
    placed_stations,
    used_stations,
)
from vadose.store import open_cube, open_netcdf
from vadose.validate.leakage import check_independent
from vadose.validate.match import grid_box
from vadose.validate.spaces import ContainingCell, Footprint, NearestCentre, Space

#: Widest footprint, km.
WIDEST = 500.0
#: Length of a degree on the equator, km.
DEGREE = 111.32


@dataclass(frozen=True)
class Asked:
    """Say what a run is to be judged by, and how.

    Attributes
    ----------
    stations
        Path as of `vadose.pipeline.places.open_places`; the run's own stations unless given.
    layer
        Top and bottom in m, see there.
    space
        ``cell`` that contains the station, ``nearest`` centre, or ``footprint``.
    footprint
        Radius of the disc in km, where that is asked for.
    hours
        Readings within so many hours of a stamp; those of its days unless given.
    products
        Further products by name: cubes (Zarr or netCDF) with the run's target.
    minimum_pairs
        Fewest pairs of a station in the tables: 50, or 10 where no station has as many, unless given.
    level
        Of the intervals.
    after_ma
        Leave stations out whose R is not significant, to repeat Ma's tables.
    gaps
        Share of the coarse values to hide, to see how well they are filled; none unless given.
    hat
        Methods to compare by a three-cornered hat.
    """

    stations: Path | None = None
    layer: tuple[float, float] | None = None
    space: str = "cell"
    footprint: float | None = None
    hours: float | None = None
    products: Mapping[str, Path] = field(default_factory=dict)
    minimum_pairs: int | None = None
    level: float = 0.95
    after_ma: bool = False
    gaps: float | None = None
    hat: tuple[str, ...] = ()

    def needs_stations(self) -> bool:
        """Tell whether something is asked for that stations alone can answer."""
        return self != Asked(gaps=self.gaps, hat=self.hat, level=self.level)

    def way(self, grid: GeoBox) -> Space:
        """Give what of a field on a grid is compared with a station.

        Raises
        ------
        UnknownName, ValueProblem
        """
        if self.footprint is not None and self.space != "footprint":
            raise ValueProblem(
                "--footprint", found=f"--match {self.space}", expected="--match footprint with it"
            )
        if self.footprint is not None and not 0 < self.footprint <= WIDEST:
            raise ValueProblem(
                "--footprint", found=f"{self.footprint:g} km", expected=f"up to {WIDEST:g} km"
            )
        if self.space == "cell":
            return ContainingCell()
        if self.space == "footprint":
            if self.footprint is None:
                raise ValueProblem(
                    "--match footprint", found="no size", expected="--footprint KM, its radius"
                )
            return Footprint(self.footprint)
        if self.space == "nearest":
            return NearestCentre(cell_diagonal(grid))
        raise UnknownName("way to match", self.space, ("cell", "nearest", "footprint"))


def fields_of(folder: RunFolder, others: Mapping[str, Path]) -> dict[str, xr.DataArray]:
    """Open the target of every method, and of the further products."""
    recipe = folder.recipe
    fields = {
        name: open_cube(folder / f"predictions/{name}.zarr")[recipe.target]
        for name in recipe.methods
    }
    for name, path in others.items():
        if name in fields:
            raise ValueProblem(
                f"--product {name}", found="a method of that name", expected="another name"
            )
        cube = open_netcdf(path) if path.suffix == ".nc" else open_cube(path)
        if recipe.target not in cube:
            raise UnknownName(f"variable (in {path})", recipe.target, map(str, cube.data_vars))
        fields[name] = cube[recipe.target]
        if USED_BY_PRODUCT in cube.attrs:
            fields[name].attrs[USED_BY_PRODUCT] = cube.attrs[USED_BY_PRODUCT]
    return fields


def stations_of(folder: RunFolder, asked: Asked, fields: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """Read the stations that are asked for, of the place and time of the products."""
    if asked.layer is not None and (asked.stations is None or asked.stations.suffix in SERIES):
        raise ValueProblem(
            "--layer",
            found="stations whose layer is settled",
            expected="an ISMN archive, or a description of tables",
        )
    if asked.stations is None:
        return own_stations(folder.path)
    first = next(iter(fields.values()))
    period = None
    if "time" in first.dims:
        # the readings of the last stamp reach to the end of what it stands for
        beyond = folder.recipe.build.days + int(np.ceil((asked.hours or 0) / 24))
        ends = first["time"].values[[0, -1]] + np.array([-1, 1]) * np.timedelta64(beyond, "D")
        period = (str(ends[0])[:10], str(ends[1])[:10])
    return open_places(
        asked.stations,
        layer=asked.layer,
        region=tuple(round(edge, 4) for edge in grid_box(grid_of(first))),  # type: ignore[arg-type]
        period=period,
    )


def guard(folder: RunFolder, stations: xr.Dataset, fields: Mapping[str, xr.DataArray]) -> None:
    """Refuse stations that took part in making the run, or one of the products that were corrected.

    Raises
    ------
    ValueProblem
        Names them.
    """
    if used := used_stations(folder.path):
        check_independent(stations, used)
    for name, one in fields.items():
        told = json.loads(one.attrs.get(USED_BY_PRODUCT, "{}"))
        if told:
            known = {f"{role}, of {name}": placed_stations(used) for role, used in told.items()}
            check_independent(stations, known)


def cell_diagonal(grid: GeoBox) -> float:
    """Give the diagonal of a cell, km; where degrees are longest."""
    unit = DEGREE if grid.crs is not None and grid.crs.geographic else 1e-3
    return float(np.hypot(grid.resolution.x, grid.resolution.y)) * unit

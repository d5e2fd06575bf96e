"""From a path to stations: an ISMN archive or folder, a YAML file that describes tables, or a netCDF file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from vadose.config import read_stations
from vadose.config.build import Stations
from vadose.errors import CubeProblem, FileProblem
from vadose.grids import Region
from vadose.schema import variable
from vadose.store.encoding import reading

#: Where a run keeps the stations of its recipe.
OWN = "stations.nc"
#: The layer of stations that are given without one, m: what an L-band radiometer sees.
LAYER = (0.0, 0.05)
#: Endings of the three kinds of files.
UNITS = ("m3 m-3", "m3/m3", "m^3 m^-3", "1")
DESCRIPTIONS, SERIES = (".yaml", ".yml"), (".nc", ".nc4")


def own_stations(run: Path) -> xr.Dataset:
    """Read the stations that a run was built with."""
    with xr.open_dataset(run / OWN, engine="h5netcdf") as opened:
        return opened.load()


def open_places(
    path: str | Path,
    *,
    layer: tuple[float, float] | None = None,
    region: Region | None = None,
    period: tuple[str, str] | None = None,
) -> xr.Dataset:
    """Read stations to score at.

    Parameters
    ----------
    path
        A folder or zip file of the ISMN; a YAML file with the keys of ``stations:`` in a recipe, its paths
        relative to itself; or a netCDF file with ``soil_moisture`` and dims ``station, time``.
    layer
        Top and bottom in m; a sensor must lie in it. That of the YAML file, or 0 to 0.05 m, unless given;
        a netCDF file has its own.
    region, period
        Read those alone.

    Returns
    -------
    xarray.Dataset
        Dims ``station, time``, daily or finer.

    Raises
    ------
    FileProblem
        No such file, or one that is none of these.
    RecipeProblem
        A description with faults.
    """
    from vadose.pipeline.sources import open_stations

    path = Path(path)
    if not path.exists():
        raise FileProblem(path, found="nothing there", expected="stations")
    if path.suffix in SERIES:
        return _read_series(path)
    if path.suffix in DESCRIPTIONS:
        described, origin = read_stations(path), path.parent
    elif path.is_dir() or path.suffix == ".zip":
        described = Stations(paths=[str(path.resolve())], kind="ismn", layer=LAYER)
        origin = Path()
    else:
        raise FileProblem(
            path,
            found=f"a file that ends in {path.suffix or 'nothing'}",
            expected="a folder or .zip of the ISMN, a .yaml that describes tables, or a .nc",
            remedy="A table is described like stations: in a recipe; see examples/stations/yanco.yaml.",
        )
    if layer is not None:
        described = described.model_copy(update={"layer": layer})
    return open_stations(described, origin, region, period)


def _read_series(path: Path) -> xr.Dataset:
    with reading(path), xr.open_dataset(path, engine="h5netcdf") as opened:
        stations = opened.load()
    lacking = {"soil_moisture"} - set(stations.data_vars) or {"station", "time"} - set(
        stations.dims
    )
    if lacking:
        raise CubeProblem(
            str(path),
            found=f"variables {sorted(map(str, stations.data_vars))}, dims {dict(stations.sizes)}",
            expected="soil_moisture with dims station, time",
        )
    _check_series(path, stations)
    return stations


def _check_series(path: Path, stations: xr.Dataset) -> None:
    """Refuse what cannot be the soil moisture of stations."""
    values = stations["soil_moisture"].values.astype("f8")
    units = str(stations["soil_moisture"].attrs.get("units", "none"))
    if not values.size:
        raise CubeProblem(str(path), found=f"dims {dict(stations.sizes)}", expected="some stations")
    low, high = variable("soil_moisture").valid_range
    known = values[~np.isnan(values)]
    if units not in UNITS or (known.size and not ((known >= low) & (known <= high)).all()):
        raise CubeProblem(
            f"{path}: soil_moisture",
            found=f"units {units!r}, values from {known.min(initial=np.inf):g} to {known.max(initial=-np.inf):g}",
            expected=f"units m3 m-3, values from {low:g} to {high:g}, NaN in gaps",
        )
    names = [str(name) for name in np.atleast_1d(stations["station"].values)]
    if "network" in stations.coords:
        networks = np.atleast_1d(stations["network"].values)
        names = [f"{network}/{name}" for network, name in zip(networks, names, strict=True)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise CubeProblem(str(path), found=f"station {twice} twice", expected="each station once")
    for name in ("lat", "lon"):
        if name not in stations.coords or not np.isfinite(stations[name].values).all():
            raise CubeProblem(str(path), found=f"a station without {name}", expected="degrees")

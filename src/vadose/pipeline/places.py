"""From a path to stations: an ISMN archive or folder, a YAML file that describes tables, or a netCDF file.

Of the run's own stations, those that took part in making it are kept apart: they judge nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.config import read_stations
from vadose.config.build import Stations
from vadose.errors import CubeProblem, FileProblem, NoOverlap
from vadose.grids import Region
from vadose.pipeline.folder import RunFolder
from vadose.schema import variable
from vadose.store.encoding import reading
from vadose.validate.leakage import LISTED, find_dependent

#: Where a run keeps the stations of its recipe.
OWN = "stations.nc"
#: Where the run says which stations took part in making it, by role.
USED = "used_stations.json"
#: Attribute of a product: what that file said when it was made, as JSON.
USED_BY_PRODUCT = "stations_used"
#: What the role of stations begins with whose statistics steer a method.
CONDITIONS = "conditions of "
#: The layer of stations that are given without one, m: what an L-band radiometer sees.
LAYER = (0.0, 0.05)
#: Endings of the three kinds of files.
UNITS = ("m3 m-3", "m3/m3", "m^3 m^-3", "1")
DESCRIPTIONS, SERIES = (".yaml", ".yml"), (".nc", ".nc4")


def all_stations(run: Path) -> xr.Dataset:
    """Read all stations that a run was built with, also those that took part in making it."""
    with xr.open_dataset(run / OWN, engine="h5netcdf") as opened:
        return opened.load()


def own_stations(run: Path) -> xr.Dataset:
    """Read the stations that a run was built with and that took no part in making it.

    Raises
    ------
    NoOverlap
        All of them took part.
    """
    stations = all_stations(run)
    took_part = _took_part(run, stations)
    if took_part.all():
        raise NoOverlap(
            f"stations of {run}",
            found=f"none of {took_part.size} that took no part in making it ({USED})",
            expected="some to judge by",
        )
    return stations.isel(station=np.flatnonzero(~took_part))


def has_judges(run: Path) -> bool:
    """Tell whether a run has stations of its own that took no part in making it."""
    return (run / OWN).exists() and not _took_part(run, all_stations(run)).all()


def note_on_judges(run: Path) -> list[str]:
    """Say in a sentence which of the run's own stations do not judge it; nothing where all do."""
    if not (run / OWN).exists():
        return []
    stations = all_stations(run)
    took_part = _took_part(run, stations)
    if not took_part.any():
        return []
    labels = np.array(station_labels(stations))[took_part]
    names = ", ".join(labels[:LISTED]) + (" and others" if labels.size > LISTED else "")
    roles = ", ".join(used_stations(run))
    left = took_part.size - took_part.sum()
    judged = f"it is judged at the other {left}" if left else "no station is left to judge it"
    return [
        f"{took_part.sum()} of {took_part.size} stations took part in making the product, or stand beside "
        f"one that did ({roles}: {names}); {judged}."
    ]


def _took_part(run: Path, stations: xr.Dataset) -> np.ndarray[Any, np.dtype[np.bool_]]:
    dependent = {one.station for one in find_dependent(stations, used_stations(run))}
    return np.array([label in dependent for label in station_labels(stations)], dtype=bool)


def station_labels(stations: xr.Dataset) -> list[str]:
    """Give ``network/station`` of each, or the name alone where no network is known."""
    names = [str(name) for name in np.atleast_1d(stations["station"].values)]
    if "network" not in stations.coords:
        return names
    networks = [str(name) for name in np.atleast_1d(stations["network"].values)]
    return ["/".join(part for part in pair if part) for pair in zip(networks, names, strict=True)]


def used_stations(run: Path) -> dict[str, list[str] | xr.Dataset]:
    """Read which stations took part in making a run, by role: names, or names and places."""
    return {role: placed_stations(used) for role, used in told_used(run).items()}


def told_used(run: Path) -> dict[str, Any]:
    """Read which stations took part in making a run, by role, in plain words."""
    path = run / USED
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def placed_stations(used: Any) -> Any:
    """Make stations of names and places told in plain words; a list of names stays one."""
    if not isinstance(used, Mapping):
        return used
    places = {key: ("station", used[key]) for key in ("network", "lat", "lon") if key in used}
    return xr.Dataset(coords={"station": used["station"], **places})


def in_plain_words(stations: xr.Dataset) -> dict[str, list[Any]]:
    """Tell stations by name, network and place as JSON can; what `placed_stations` reads.

    Examples
    --------
    >>> in_plain_words(xr.Dataset(coords={"station": ["A"], "lat": ("station", [1.5])}))
    {'station': ['A'], 'lat': [1.5]}
    """
    return {
        "station": [str(name) for name in stations["station"].values],
        **{
            key: stations[key].values.tolist()
            for key in ("network", "lat", "lon")
            if key in stations.coords
        },
    }


def note_used(folder: RunFolder, roles: Mapping[str, xr.Dataset]) -> None:
    """Write which stations take part in making a run; other roles that stand there stay."""
    kept = told_used(folder.path)
    told = {role: in_plain_words(used) for role, used in roles.items()}
    kept = {role: used for role, used in kept.items() if not role.startswith(CONDITIONS)}
    if {**kept, **told}:
        folder.write_json(USED, {**kept, **told})
    else:
        (folder / USED).unlink(missing_ok=True)


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

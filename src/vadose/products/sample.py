"""The bundled sample: one real global field of GLDAS Noah with IGBP land-cover fractions, 0.25°.

The file beside this module is made by ``scripts/make_sample.py`` from two packages of the Python index;
licence and citation stand in ``data/README.md``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from vadose.errors import FileProblem
from vadose.grids import latlon
from vadose.products.base import Product
from vadose.products.decode import decode_values
from vadose.products.formats import open_raw
from vadose.products.placement import Placement
from vadose.products.raw import LazyArray, MappedArray, Values
from vadose.products.reading import build
from vadose.products.sun import solar_zenith_angle
from vadose.schema import IGBP, VARIABLES

#: The file that travels in the wheel.
SAMPLE_PATH = Path(__file__).parent / "data" / "gldas_noah_sample.nc"
#: GLDAS leaves Antarctica out.
SAMPLE_GRID = latlon(0.25, (-180.0, -60.0, 180.0, 90.0))

DYNAMIC = (
    "soil_moisture",
    "root_zone_soil_moisture",
    "land_surface_temperature",
    "air_temperature",
    "albedo",
    "evaporation",
    "precipitation",
    "snow_water_equivalent",
)


def read_sample(path: Path) -> xr.Dataset:
    """Open the sample: dynamic variables ``(time, y, x)``, land-cover fractions ``(y, x)``.

    Parameters
    ----------
    path
        The bundled file.

    Returns
    -------
    xarray.Dataset
        NaN over the sea.

    Examples
    --------
    >>> read_sample(SAMPLE_PATH)["soil_moisture"].sizes["x"]
    1440
    """
    with h5py.File(path) as file:
        stamp = np.datetime64(str(file.attrs["time"]), "ns")
    with open_raw(path) as raw:
        stored = {name: raw.need(name) for name in (*DYNAMIC, "land_cover_count")}
    for name, held in stored.items():
        if held.array.shape[-2:] != SAMPLE_GRID.shape or held.dims[-2:] != ("y", "x"):
            raise FileProblem(
                path,
                found=f"{name} of {held.sizes}",
                expected=f"y, x of {tuple(SAMPLE_GRID.shape)}",
            )
    counts = stored.pop("land_cover_count")
    values = {name: decode_values(held, source=f"{path}: {name}") for name, held in stored.items()}
    arrays: dict[str, LazyArray] = {
        name: replace(stored[name], array=array).arranged([None, "y", "x"])
        for name, array in values.items()
    }
    for code, meaning in enumerate(IGBP.meanings):
        count = counts.arranged(["y", "x"], {"igbp": code})
        share = MappedArray(_share, count, values["soil_moisture"], dtype=np.float32)
        arrays[f"land_cover_{meaning}"] = share
    cube = build(arrays, Placement(SAMPLE_GRID), np.array([stamp]))
    for name in DYNAMIC:
        is_mean = name in ("evaporation", "precipitation")
        cube[name].attrs["cell_methods"] = "time: mean" if is_mean else "time: point"
    zenith = xr.DataArray(solar_zenith_angle(stamp, SAMPLE_GRID).astype("f4"), dims=("y", "x"))
    is_land = cube["soil_moisture"].notnull()
    cube["solar_zenith_angle"] = (
        zenith.where(is_land)
        .transpose(*is_land.dims)
        .assign_attrs(VARIABLES["solar_zenith_angle"].attributes())
    )
    return cube


def _share(count: Values, moisture: Values) -> Values:
    """Turn the number of 0.05° cells of a class into a share of the 25; the sea has none."""
    return np.where(np.isfinite(moisture), count.astype("f4") / np.float32(25), np.float32("nan"))


SAMPLE = Product(
    name="SAMPLE",
    title="GLDAS Noah v2.1 on 2015-01-01 00Z with IGBP land cover, 0.25 degrees",
    variables={
        **dict.fromkeys(DYNAMIC, "GLDAS Noah"),
        "solar_zenith_angle": "computed from the time stamp",
        **{f"land_cover_{meaning}": "MCD12C1" for meaning in IGBP.meanings},
    },
    grid="latlon_0.25, 60 S to 90 N",
    time_meaning="states are instantaneous at the stamp; rain and evaporation are the mean of the "
    "three hours that begin there",
    licence="NASA data without restrictions on reuse; packages under Apache-2.0",
    citation="Rodell et al. (2004), Bull. Am. Meteorol. Soc. 85:381, doi:10.1175/BAMS-85-3-381; "
    "Beaudoing and Rodell (2020), doi:10.5067/E7TYRXPJKWOQ; "
    "Friedl and Sulla-Menashe (2015), doi:10.5067/MODIS/MCD12C1.006",
    read=read_sample,
    pattern="gldas_noah_sample.nc",
    depths={"soil_moisture": (0.0, 0.1), "root_zone_soil_moisture": (0.0, 1.0)},
)
PRODUCTS = {SAMPLE.name: SAMPLE}


def open_sample() -> xr.Dataset:
    """Open the bundled sample lazily.

    Returns
    -------
    xarray.Dataset
        Dims ``time, y, x`` of 1, 600, 1440; see `read_sample`.

    Examples
    --------
    >>> open_sample()["soil_moisture"].attrs["units"]
    'm3 m-3'
    """
    return SAMPLE.open(SAMPLE_PATH)

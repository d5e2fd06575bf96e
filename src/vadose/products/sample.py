"""The bundled sample: one real global field of GLDAS Noah with IGBP land-cover fractions, 0.25°.

The file beside this module is made by ``scripts/make_sample.py`` from two packages of the Python index;
licence and citation stand in ``data/README.md``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from vadose.grids import coordinates, latlon
from vadose.products.base import Product
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
    source = xr.open_dataset(path, engine="h5netcdf", chunks={})
    cube = xr.Dataset(coords=coordinates(SAMPLE_GRID))
    cube = cube.assign_coords(time=[np.datetime64(source.attrs["time"], "ns")])
    for name in DYNAMIC:
        array = source[name].astype("f4").expand_dims("time")
        attributes = VARIABLES[name].attributes()
        cell_methods = "time: mean" if name in ("evaporation", "precipitation") else "time: point"
        cube[name] = (array.dims, array.data, {**attributes, "cell_methods": cell_methods})
    is_land = np.isfinite(source["soil_moisture"])
    for code, meaning in enumerate(IGBP.meanings):
        share = (source["land_cover_count"].isel(igbp=code) / np.float32(25)).where(is_land)
        name = f"land_cover_{meaning}"
        cube[name] = (("y", "x"), share.astype("f4").data, VARIABLES[name].attributes())
    return cube


SAMPLE = Product(
    name="SAMPLE",
    title="GLDAS Noah v2.1 on 2015-01-01 00Z with IGBP land cover, 0.25 degrees",
    variables={
        **dict.fromkeys(DYNAMIC, "GLDAS Noah"),
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

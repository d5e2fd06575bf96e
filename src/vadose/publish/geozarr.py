"""GeoZarr: Zarr v3 with its georeference told in every way that readers look for it, and v2 for GDAL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.grids import grid_of
from vadose.publish.about import Publication
from vadose.publish.attributes import described, time_attributes
from vadose.publish.netcdf import CONVENTIONS, is_packed
from vadose.store import replaced, seal
from vadose.store.encoding import chunk_shape, chunked, encode_for_zarr, own_threads, prepared

#: The conventions of GeoZarr that say where cells lie, as they are registered.
_REGISTERED = {
    "proj": ("f17cb550-5864-4468-aeb7-f3180cfb622f", "geo-proj", "proj"),
    "spatial": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "spatial", "spatial"),
}


def write_geozarr(
    cube: xr.Dataset, path: Path, publication: Publication, *, version: int = 3
) -> Path:
    """Write a cube as one Zarr store, chunk by chunk; a store that is there is kept.

    Parameters
    ----------
    cube
        The product, lazy; its chunks are kept, and not put together to shards, for few readers know these.
    path
        The store.
    publication
        What it is.
    version
        3; or 2 for GDAL: that of rasterio's wheels (3.10) knows a draft of version 3 only.

    Returns
    -------
    pathlib.Path
        The store.
    """
    if path.exists():
        return path
    told = described(cube, publication)
    told.attrs |= time_attributes(cube["time"] if "time" in cube.dims else None)
    plain = chunked(prepared(told, packed=is_packed(cube)))
    plain.attrs |= {"Conventions": CONVENTIONS, **georeference(grid_of(cube))}
    encode_for_zarr(plain)
    for array in plain.data_vars.values():
        array.encoding["chunks"] = chunk_shape(array)
        if version == 3:
            # no checksum in the chunks: GDAL does not know that codec, and the export has its own
            array.encoding["compressors"] = array.encoding["compressors"][:1]
            continue
        array.encoding["compressors"] = (numcodecs.Blosc("zstd", 5, numcodecs.Blosc.BITSHUFFLE),)
        fill = array.encoding.pop("fill_value", None)
        if array.dtype.kind == "f":
            array.encoding["_FillValue"] = array.dtype.type(np.nan)
        elif fill is not None:
            array.encoding["_FillValue"] = fill
        # the one place in which GDAL before 3.9 looks for it in this version
        array.attrs["_CRS"] = {"wkt": str(plain["spatial_ref"].attrs["crs_wkt"])}
    if "time" in plain.coords:
        plain["time"].encoding["units"] = time_units(plain["time"].values)
    with replaced(path) as partial, own_threads():
        plain.to_zarr(
            partial,
            mode="w-",
            zarr_format=version,
            consolidated=version == 2,  # part of that version, and what GDAL looks for
        )
        if version == 3:
            seal(partial)
    return path


def time_units(stamps: npt.NDArray[np.datetime64]) -> str:
    """Give the longest unit in which all stamps are whole numbers; tools show these numbers.

    Examples
    --------
    >>> time_units(np.array(["2018-01-01", "2018-01-02"], "M8[ns]"))
    'days since 1970-01-01'
    """
    units = {"D": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
    whole = (word for unit, word in units.items() if (stamps == stamps.astype(f"M8[{unit}]")).all())
    return f"{next(whole, 'nanoseconds')} since 1970-01-01"


def georeference(grid: GeoBox) -> dict[str, Any]:
    """Say where cells lie in the words of GeoZarr, beside the grid mapping of CF.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> georeference(latlon(0.5))["spatial:transform"]
    [0.5, 0.0, -180.0, 0.0, -0.5, 90.0]
    """
    edges = grid.extent.boundingbox
    crs = grid.crs
    code = None if crs is None else crs.epsg
    place = {"proj:code": f"EPSG:{code}"} if code else {"proj:wkt2": crs.to_wkt() if crs else ""}
    return {
        "zarr_conventions": [
            {
                "uuid": uuid,
                "name": name,
                "schema_url": f"https://raw.githubusercontent.com/zarr-conventions/{repository}/refs/tags/v1/schema.json",
                "spec_url": f"https://github.com/zarr-conventions/{repository}/blob/v1/README.md",
            }
            for uuid, repository, name in _REGISTERED.values()
        ],
        **place,
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": [float(number) for number in tuple(grid.affine)[:6]],
        "spatial:shape": [int(grid.shape.y), int(grid.shape.x)],
        "spatial:bbox": [
            float(edge) for edge in (edges.left, edges.bottom, edges.right, edges.top)
        ],
        "spatial:registration": "pixel",
    }

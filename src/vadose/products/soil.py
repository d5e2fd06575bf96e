"""SoilGrids: sand, silt and clay of the fine earth, one file for each property and depth.

SoilGrids stores g/kg as integers; many copies are already in per cent. Which of the two a file holds is
told by its type and its largest value, never guessed from the name: integers above 100 cannot be per
cent, and fractions cannot be g/kg as SoilGrids writes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import dask.array as da
import numpy as np
import rasterio
import xarray as xr

from vadose.errors import FileProblem
from vadose.grids import coordinates
from vadose.products.base import Product, join_in_time
from vadose.products.mosaic import mosaic
from vadose.products.raster import Raster, open_raster
from vadose.schema import VARIABLES

PROPERTIES = ("sand", "silt", "clay")
#: Code of no data in SoilGrids; copies that lost the tag still hold it.
NODATA = -32768
#: Side of the preview from which the unit is told, in pixels.
PREVIEW = 512


def read_texture(path: Path) -> xr.Dataset:
    """Open one file lazily; its name tells the property and the layer (``sand_0-5cm_mean.tif``).

    Returns
    -------
    xarray.Dataset
        ``sand``, ``silt`` or ``clay`` in per cent, dims ``y, x``; NaN where there is no soil.

    Raises
    ------
    FileProblem
        The name tells no property, or no value in the file can be right.
    """
    hit = re.search(r"(sand|silt|clay)_(\d+)-(\d+)cm", path.name)
    if hit is None:
        raise FileProblem(
            path,
            found="a name without a property and layer",
            expected="as SoilGrids writes it: sand_0-5cm_mean.tif, for sand, silt or clay",
            remedy="Name the files sand_…, silt_… and clay_….",
        )
    raster = open_raster(path)
    factor = _per_cent(path, raster)
    raw = raster.values
    value = raw.astype("f4") * np.float32(factor)
    is_gap = (value < 0) | (value > 100) | (raw == NODATA)
    if raster.nodata is not None:
        is_gap = is_gap | (raw == raster.nodata)
    name, top, bottom = hit[1], int(hit[2]) / 100, int(hit[3]) / 100
    cube = xr.Dataset(
        {name: (("y", "x"), da.where(is_gap, np.float32("nan"), value))},
        coords=coordinates(raster.grid),
    )
    cube[name].attrs.update(VARIABLES[name].attributes(), depth_from=top, depth_to=bottom)
    return cube


def _per_cent(path: Path, raster: Raster) -> float:
    """Tell per cent of one raw unit from a preview of the file."""
    with rasterio.open(path) as source:
        rows, columns = (min(PREVIEW, size) for size in source.shape)
        preview = source.read(1, out_shape=(rows, columns)).astype("f8")
    is_value = np.isfinite(preview) & (preview != NODATA) & (preview >= 0)
    if raster.nodata is not None and np.isfinite(raster.nodata):
        is_value &= preview != raster.nodata
    largest = preview[is_value].max() if is_value.any() else float("nan")
    if not largest <= 1000:
        raise FileProblem(
            path,
            found=f"largest value {largest:g}",
            expected="per cent (to 100) or g/kg (to 1000)",
            remedy="Take the file as SoilGrids publishes it.",
        )
    is_integer = np.issubdtype(raster.values.dtype, np.integer)
    return 0.1 if is_integer or largest > 100 else 1.0


def join_textures(parts: Sequence[xr.Dataset], source: str) -> xr.Dataset:
    """Join tiles of each property, then the properties, all of one layer.

    Raises
    ------
    FileProblem
        Files of several layers, or properties on different grids.
    """
    by_name: dict[str, list[xr.Dataset]] = {}
    layers = set()
    for part in parts:
        for name, array in part.data_vars.items():
            by_name.setdefault(str(name), []).append(part)
            layers.add((array.attrs["depth_from"], array.attrs["depth_to"]))
    if len(layers) > 1:
        found = ", ".join(f"{top:g}-{bottom:g} m" for top, bottom in sorted(layers))
        raise FileProblem(
            source,
            found=f"files of the layers {found}",
            expected="one layer at a time",
            remedy="Name the files of one layer, for instance with a glob: *_0-5cm_*.tif",
        )
    return join_in_time([mosaic(tiles, source) for tiles in by_name.values()], source=source)


SOILGRIDS = Product(
    name="SOILGRIDS",
    title="SoilGrids 2.0 particle-size fractions, 250 m",
    variables={name: f"file {name}_<depth>cm_mean" for name in PROPERTIES},
    grid="Goode homolosine 250 m, or as resampled by the user",
    time_meaning="Static.",
    licence="CC-BY 4.0",
    citation="Poggio et al. (2021), SOIL 7:217. https://doi.org/10.5194/soil-7-217-2021",
    read=read_texture,
    pattern="*[scl][ail][nla][dty]_*-*cm*.tif",  # sand, silt, clay; not organic carbon and the like
    join=join_textures,
)

PRODUCTS = {SOILGRIDS.name: SOILGRIDS}

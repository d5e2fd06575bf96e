"""A STAC collection with an item for each day; all links are relative, so that the folder can be moved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pystac
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.grids import grid_of
from vadose.publish.about import NOT_STATED, Publication
from vadose.publish.attributes import is_about, is_instantaneous, iso, layer, layers
from vadose.publish.cog import DAYS, cog_variables, path_of, stamp_of
from vadose.publish.extent import extent_of
from vadose.schema import variable
from vadose.store import replaced

COLLECTION = "collection.json"
_EXTENSIONS = "https://stac-extensions.github.io"
PROJECTION = f"{_EXTENSIONS}/projection/v2.0.0/schema.json"
RASTER = f"{_EXTENSIONS}/raster/v2.0.0/schema.json"
DATACUBE = f"{_EXTENSIONS}/datacube/v2.2.0/schema.json"
SCIENTIFIC = f"{_EXTENSIONS}/scientific/v1.0.0/schema.json"
COG, NETCDF, ZARR = (
    "image/tiff; application=geotiff; profile=cloud-optimized",
    "application/netcdf",
    "application/vnd.zarr",
)


def write_stac(
    cubes: Mapping[str, xr.Dataset],
    folder: Path,
    publication: Publication,
    files: Mapping[str, list[Path]],
) -> Path:
    """Write the collection and its items; the GeoTIFFs must be there.

    Parameters
    ----------
    cubes
        The products by the begin of their files' names, the first of them first.
    folder
        The export.
    publication
        What it is.
    files
        netCDF files and Zarr stores by begin of names.

    Returns
    -------
    pathlib.Path
        The collection.
    """
    first = next(iter(cubes.values()))
    times = list(first["time"].values) if "time" in first.dims else [None]
    collection = _collection(cubes, publication, times)
    for stem, paths in files.items():
        for path in paths:
            collection.add_asset(path.name, _whole(path, folder, stem))
    for time in times:
        item = _item(cubes, folder, publication, time, collection.id)
        name = f"{item.id}.json"
        inside = f"{DAYS}/{stamp_of(time)}"
        item.links = [
            pystac.Link(rel, f"../../{COLLECTION}", "application/json")
            for rel in ("root", "parent", "collection")
        ]
        # the objects that these links are for are not kept: a collection may have ten thousand days
        _dump(item.to_dict(include_self_link=False, transform_hrefs=False), folder / inside / name)
        collection.links.append(pystac.Link("item", f"./{inside}/{name}", "application/geo+json"))
    collection.links = [link for link in collection.links if link.rel != "root"]
    collection.links.insert(0, pystac.Link("root", f"./{COLLECTION}", "application/json"))
    _dump(collection.to_dict(include_self_link=False, transform_hrefs=False), folder / COLLECTION)
    return folder / COLLECTION


def _dump(content: dict[str, Any], path: Path) -> None:
    with replaced(path, overwrite=True) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _moment(time: np.datetime64 | None, publication: Publication) -> datetime:
    if time is None:
        return datetime.fromisoformat(publication.created).astimezone(UTC)
    return pd.Timestamp(time).to_pydatetime(warn=False).replace(tzinfo=UTC)


def _collection(
    cubes: Mapping[str, xr.Dataset], publication: Publication, times: list[Any]
) -> pystac.Collection:
    first = next(iter(cubes.values()))
    grid, about = grid_of(first), publication.about
    ends = [_moment(times[0], publication), _moment(times[-1], publication)]
    name = about.creator if about.creator != NOT_STATED else publication.creator
    url = about.creator_url if about.creator_url != NOT_STATED else None
    roles = [pystac.ProviderRole.PRODUCER, pystac.ProviderRole.PROCESSOR]
    collection = pystac.Collection(
        id=publication.identifier.replace("/", "-"),
        title=publication.title,
        description="\n\n".join([publication.summary, *publication.notes]),
        extent=pystac.Extent(
            pystac.SpatialExtent([extent_of(grid).bbox]), pystac.TemporalExtent([list(ends)])
        ),
        license=publication.spdx or "other",
        keywords=publication.keywords,
        providers=[pystac.Provider(name, roles=roles, url=url)],
        stac_extensions=[DATACUBE, SCIENTIFIC],
    )
    collection.add_link(pystac.Link("license", "./LICENCE.txt", "text/plain"))
    collection.add_link(pystac.Link("cite-as-file", "./CITATION.cff", "text/yaml"))
    collection.extra_fields |= {
        **_datacube(cubes, publication, times, grid),
        "sci:citation": citation_line(publication),
        "sci:publications": [{"citation": text} for text in publication.citations],
    }
    if not publication.citations:
        del collection.extra_fields["sci:publications"]
    if about.doi is not None:
        collection.extra_fields["sci:doi"] = about.doi
        collection.add_link(pystac.Link("cite-as", f"https://doi.org/{about.doi}"))
    return collection


def citation_line(publication: Publication) -> str:
    """Say in a line how the product is cited.

    Examples
    --------
    >>> made = Publication("Soil", "soil_moisture", "", "", "", "2026-11-21", "0a1b2c3d4e", "", ())
    >>> citation_line(made)[-21:]
    ' Soil, soil-0a1b2c3d.'
    """
    about, year = publication.about, publication.created[:4]
    where = f"doi:{about.doi}" if about.doi else publication.identifier
    return f"{publication.creator} ({year}): {publication.title}, {where}."


def _datacube(
    cubes: Mapping[str, xr.Dataset], publication: Publication, times: list[Any], grid: GeoBox
) -> dict[str, Any]:
    edges = grid.extent.boundingbox
    reference: Any = None if grid.crs is None else grid.crs.epsg or grid.crs.to_wkt()
    dimensions: dict[str, Any] = {
        dim: {
            "type": "spatial",
            "axis": dim,
            "extent": [float(low), float(high)],
            "step": float(step),
            "reference_system": reference,
        }
        for dim, low, high, step in (
            ("x", edges.left, edges.right, grid.affine.a),
            ("y", edges.bottom, edges.top, grid.affine.e),
        )
    }
    ends = [iso(pd.Timestamp(_moment(time, publication))) for time in (times[0], times[-1])]
    if times[0] is not None:
        dimensions["time"] = {"type": "temporal", "extent": ends}
    variables: dict[str, Any] = {}
    for cube in cubes.values():
        for name, array in cube.data_vars.items():
            if "member" in array.dims:
                size = array.sizes["member"]
                dimensions["member"] = {"type": "member", "values": list(range(size))}
            variables[str(name)] = {
                "dimensions": [str(dim) for dim in array.dims],
                "type": "data",
                "description": str(array.attrs.get("long_name", name)),
                "unit": str(array.attrs.get("units", "1")),
            }
    return {"cube:dimensions": dimensions, "cube:variables": variables}


def _whole(path: Path, folder: Path, stem: str) -> pystac.Asset:
    """Describe an asset that holds all days, or a month of them."""
    href = f"./{path.relative_to(folder).as_posix()}"
    if path.suffix == ".nc":
        return pystac.Asset(href, f"{stem}, CF netCDF", media_type=NETCDF, roles=["data"])
    is_old = path.name.endswith("_gdal.zarr")
    version = 2 if is_old else 3
    asset = pystac.Asset(
        href,
        f"{stem}, Zarr version {version}" + (", for GDAL" if is_old else ""),
        media_type=f"{ZARR}; version={version}",
        roles=["data"],
    )
    return asset


def _item(
    cubes: Mapping[str, xr.Dataset],
    folder: Path,
    publication: Publication,
    time: np.datetime64 | None,
    collection: str,
) -> pystac.Item:
    first = next(iter(cubes.values()))
    grid, moment = grid_of(first), _moment(time, publication)
    properties: dict[str, Any] = {"title": f"{publication.title}, {stamp_of(time)}"}
    if time is not None and not is_instantaneous(first, publication.target):
        end = pd.Timestamp(moment) + pd.Timedelta(1, "D") - pd.Timedelta(1, "s")
        properties |= {"start_datetime": iso(pd.Timestamp(moment)), "end_datetime": iso(end)}
    item = pystac.Item(
        id=f"{publication.slug}-{stamp_of(time)}",
        geometry=extent_of(grid).geometry,
        bbox=extent_of(grid).bbox,
        datetime=moment,
        properties={**properties, **place_of(grid)},
        stac_extensions=[PROJECTION, RASTER],
    )
    item.collection_id = collection
    for place, (stem, cube) in enumerate(cubes.items()):
        for name in cog_variables(cube, publication.target):
            path = path_of(folder, stem, stamp_of(time), name)
            key = name if place == 0 else f"{name}_{stem.removeprefix('product_')}"
            asset = pystac.Asset(
                f"./{path.name}",
                variable(name).long_name,
                media_type=COG,
                roles=["data"],
                extra_fields={"bands": [_band(path, name)]},
            )
            for one in layers(cube, publication.target):
                top, bottom = layer(cube, one)
                if is_about(name, one) and bottom > top:
                    asset.description = f"from {top:g} to {bottom:g} m below the surface"
            item.add_asset(key, asset)
    return item


def place_of(grid: GeoBox) -> dict[str, Any]:
    """Say where cells lie, in the words of the projection extension."""
    code = None if grid.crs is None else grid.crs.epsg
    edges = grid.extent.boundingbox
    return {
        "proj:code": f"EPSG:{code}" if code else None,
        **({} if code or grid.crs is None else {"proj:wkt2": grid.crs.to_wkt()}),
        "proj:shape": [int(grid.shape.y), int(grid.shape.x)],
        "proj:transform": [float(number) for number in tuple(grid.affine)[:6]],
        "proj:bbox": [float(edge) for edge in (edges.left, edges.bottom, edges.right, edges.top)],
    }


def _band(path: Path, name: str) -> dict[str, Any]:
    """Say what the numbers of a GeoTIFF mean, as the file itself has it."""
    row = variable(name)
    with rasterio.open(path) as file:
        band: dict[str, Any] = {
            "name": name,
            "description": row.long_name,
            "data_type": file.dtypes[0],
            "unit": row.units,
        }
        if file.nodata is not None:
            band["nodata"] = "nan" if np.isnan(file.nodata) else file.nodata
        if (file.scales[0], file.offsets[0]) != (1.0, 0.0):
            band |= {"raster:scale": file.scales[0], "raster:offset": file.offsets[0]}
    return band

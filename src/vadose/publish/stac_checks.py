"""Whether a STAC collection holds together, and says of its maps what the maps say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vadose.publish.cog import DAYS
from vadose.publish.stac import COLLECTION, place_of

#: What the schemas of extensions would have looked at lies on the network.
DETAIL = (
    "schemas of the core; those of the extensions (projection, raster, datacube, scientific) lie on the "
    "network and were not run: their fields were compared with the GeoTIFFs"
)


def check_stac(folder: Path) -> tuple[list[str], str]:
    """List what is wrong with a collection and its items.

    Parameters
    ----------
    folder
        An export.

    Returns
    -------
    list of str
        Faults.
    str
        What was looked at.
    """
    import pystac
    from pystac.validation import JsonSchemaSTACValidator

    validator = JsonSchemaSTACValidator()
    paths = {folder / COLLECTION: pystac.STACObjectType.COLLECTION}
    paths |= dict.fromkeys(sorted((folder / DAYS).glob("*/*.json")), pystac.STACObjectType.ITEM)
    faults = []
    for path, kind in paths.items():
        content = json.loads(path.read_text(encoding="utf-8"))
        try:
            validator.validate_core(content, kind, content["stac_version"], str(path))
        except pystac.STACValidationError as error:
            faults.append(f"{path.name}: {error}")
            continue
        is_item = kind == pystac.STACObjectType.ITEM
        own = _of_item(path, content) if is_item else _of_cube(content)
        faults += [f"{path.name}: {fault}" for fault in (*_of_links(path, content), *own)]
    collection = json.loads((folder / COLLECTION).read_text(encoding="utf-8"))
    listed = sum(link["rel"] == "item" for link in collection["links"])
    if listed != len(paths) - 1:
        faults.append(f"{COLLECTION} lists {listed} items, expected {len(paths) - 1}")
    return faults, f"a collection and {len(paths) - 1} items; {DETAIL}"


def _of_links(path: Path, content: dict[str, Any]) -> Iterator[str]:
    links = [link["href"] for link in content["links"]]
    for href in [*links, *(asset["href"] for asset in content["assets"].values())]:
        if "://" not in href and not (path.parent / href).exists():
            yield f"{href} does not exist"


def _of_cube(content: dict[str, Any]) -> Iterator[str]:
    """Look at the datacube: variables have dimensions that are there, and these an extent or values."""
    dimensions = content.get("cube:dimensions", {})
    for name, one in dimensions.items():
        if not {"extent", "values"} & set(one):
            yield f"dimension {name} has no extent"
    for name, one in content.get("cube:variables", {}).items():
        if unknown := sorted(set(one["dimensions"]) - set(dimensions)):
            yield f"variable {name} has unknown dimensions {', '.join(unknown)}"


def _of_item(path: Path, content: dict[str, Any]) -> Iterator[str]:
    """Compare what an item says of place and numbers with its GeoTIFFs."""
    import rasterio
    from odc.geo.geobox import GeoBox

    said = {key: one for key, one in content["properties"].items() if key.startswith("proj:")}
    for asset in content["assets"].values():
        file = path.parent / asset["href"]
        if not file.exists():
            continue
        with rasterio.open(file) as opened:
            grid = GeoBox(opened.shape, opened.transform, opened.crs.to_wkt())
            # a definition may be spelt in many ways, a code in one
            found = {key: one for key, one in place_of(grid).items() if key != "proj:wkt2"}
            if any(not _is_alike(said.get(key), one) for key, one in found.items()):
                yield f"{asset['href']} lies elsewhere than proj: says"
            band = asset["bands"][0]
            nodata = float(band.get("nodata", "inf"))
            is_same = np.isclose(
                [nodata, band.get("raster:scale", 1.0), band.get("raster:offset", 0.0)],
                [
                    float("inf") if opened.nodata is None else opened.nodata,
                    opened.scales[0],
                    opened.offsets[0],
                ],
                rtol=1e-12,
                equal_nan=True,
            )
            words = (band["data_type"], band["unit"])
            if not is_same.all() or words != (opened.dtypes[0], opened.units[0] or "1"):
                yield f"{asset['href']} has another type, unit, nodata, scale or offset"


def _is_alike(said: Any, found: Any) -> bool:
    if isinstance(found, list) and isinstance(said, list):
        return len(said) == len(found) and bool(np.allclose(said, found, rtol=1e-9))
    return bool(said == found)

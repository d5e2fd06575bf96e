"""How the arrays of a file are laid out: which dimension is which, on which grid, at which times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem
from vadose.grids import named_grid
from vadose.products.description import Description
from vadose.products.formats import RasterFile
from vadose.products.placement import Placement, ease_grid, place, place_on
from vadose.products.raw import LazyArray, RawFile, Stored
from vadose.products.stamps import decode_times, stamp_in_name
from vadose.schema import DIMS

#: What files call the dimensions of a cube.
_ALIASES = {
    "time": ("time", "valid_time", "t"),
    "y": ("y", "lat", "latitude", "ydim", "rows", "row", "nlat", "north_south"),
    "x": ("x", "lon", "longitude", "xdim", "cols", "col", "columns", "nlon", "east_west"),
    "member": ("member", "number", "ensemble"),
}


def cube_dims(sizes: Mapping[str, int], described: Description, source: str) -> dict[str, str]:
    """Map the dimensions of a variable to those of a cube; what has no meaning there is left out.

    Raises
    ------
    FileProblem
        When none of them are rows and columns.

    Examples
    --------
    >>> cube_dims({"lon": 4, "valid_time": 1, "lat": 3}, Description("A", "a", {}), "example.nc")
    {'lon': 'x', 'valid_time': 'time', 'lat': 'y'}
    """
    meaning: dict[str, str] = {}
    for dim in sizes:
        if dim in described.dims:
            meaning[dim] = described.dims[dim]
            continue
        for name, aliases in _ALIASES.items():
            if dim.lower() in aliases:
                meaning[dim] = name
    if not {"y", "x"} <= set(meaning.values()):
        meaning = _dims_by_shape(sizes, described, meaning, source)
    return meaning


def _dims_by_shape(
    sizes: Mapping[str, int], described: Description, meaning: dict[str, str], source: str
) -> dict[str, str]:
    """Recognise nameless dimensions of HDF5 by the shape of the named grid."""
    free = [dim for dim in sizes if dim not in meaning]
    grid = _named(described)
    if grid is not None:
        shape = tuple(grid.shape)
        found = tuple(sizes[dim] for dim in free[-2:])
        if found in (shape, shape[::-1]) and len(free) >= 2:
            order = ("y", "x") if found == shape else ("x", "y")
            return {**meaning, **dict(zip(free[-2:], order, strict=True))}
    raise FileProblem(
        source,
        found=f"dimensions {dict(sizes)}",
        expected="latitude and longitude, or y and x",
        remedy="Name them in the description's dims.",
    )


def placement_of(
    raw: RawFile, stored: Stored, dims: dict[str, str], described: Description
) -> Placement:
    """Find the grid of a file: from its coordinates, on or as the named grid.

    Parameters
    ----------
    raw
        The open file.
    stored
        One of its variables.
    dims
        What the dimensions of that mean in a cube.
    described
        Names of coordinates, grid, CRS and registration.

    Raises
    ------
    FileProblem, GridProblem
    """
    own = {meaning: dim for dim, meaning in dims.items()}
    prefix = _group_of(raw, described)
    arrays = {}
    for axis, given in (("y", described.y), ("x", described.x)):
        dim = own[axis]
        found = raw.find([given] if given else [prefix + dim, dim])
        array = raw.variable(found).array if found else None
        if array is not None and array.ndim == 1 and array.dtype.kind in "iuf":
            arrays[axis] = array[()]
    named = _named(described)
    is_in_degrees = not described.crs and _is_degrees(own["y"])
    if len(arrays) == 2 and named is not None and is_in_degrees and str(named.crs) != "EPSG:4326":
        return place_on(arrays["y"], arrays["x"], named, source=str(raw.path))
    if len(arrays) == 2 and named is None and is_in_degrees:
        found_ease = ease_grid(arrays["y"], arrays["x"], source=str(raw.path))
        if found_ease is not None:
            return found_ease
    if len(arrays) == 2:
        return place(
            arrays["y"],
            arrays["x"],
            crs=described.crs or _crs(raw, stored, own),
            source=str(raw.path),
            registration=described.registration,
            step=described.cell_size,
        )
    shape = (stored.sizes[own["y"]], stored.sizes[own["x"]])
    if named is not None and tuple(named.shape) == shape:
        return Placement(named)
    raise FileProblem(
        raw.path,
        found=f"no coordinates for {shape[0]} x {shape[1]} cells",
        expected="one-dimensional coordinates, or a named grid of this shape",
        remedy="Name y and x, or grid, in the description.",
    )


def _named(described: Description) -> GeoBox | None:
    return (
        named_grid(described.grid)
        if re.fullmatch(r"EASE2_\w+|latlon_[\d.]+", described.grid)
        else None
    )


def _is_degrees(name: str) -> bool:
    return name.lower().startswith(("lat", "nlat"))


def _group_of(raw: RawFile, described: Description) -> str:
    for layer in described.layers.values():
        names = layer.source if isinstance(layer.source, tuple | Mapping) else (str(layer.source),)
        found = raw.find(list(names))
        if found and "/" in found:
            return found.rsplit("/", 1)[0] + "/"
    return ""


def _crs(raw: RawFile, stored: Stored, own: Mapping[str, str]) -> str:
    """Take the CRS that the file names; degrees of latitude and longitude without one are WGS 84."""
    if isinstance(raw, RasterFile):
        crs = raw.crs
        if crs:
            return crs
    mapping = stored.attrs.get("grid_mapping")
    if mapping is not None and raw.find([str(mapping)]):
        attributes = raw.variable(str(mapping)).attrs
        if attributes.get("grid_mapping_name") == "latitude_longitude":
            return "EPSG:4326"
        for key in ("crs_wkt", "spatial_ref", "epsg_code"):
            if key in attributes:
                return str(attributes[key])
    if _is_degrees(own["y"]):
        return "EPSG:4326"
    raise FileProblem(
        raw.path,
        found="no coordinate reference system",
        expected="one in the file or the description",
        remedy="Set crs in the description.",
    )


def times_of(raw: RawFile, path: Path, described: Description) -> Any:
    """Give the stamps of a file, shifted as described; None for a static map.

    Raises
    ------
    FileProblem
    """
    if described.time == "static":
        return None
    shift = np.timedelta64(round(described.shift_hours * 3600), "s")
    if described.time == "name":
        stamp = stamp_in_name(path, described.time_pattern, described.time_format)
        return np.array([np.datetime64(stamp, "ns") + shift])
    given = described.time_variable
    names = (given,) if isinstance(given, str) else given
    prefix = _group_of(raw, described)
    stored = raw.need(*[prefix + name for name in names], *names)
    times = decode_times(stored.values, stored.attrs, source=str(path), calendar=described.calendar)
    return times + shift


class Axes:
    """Bring stored arrays into the order ``[member,] [time,] y, x`` on the grid."""

    def __init__(
        self, described: Description, placement: Placement, steps: int | None, source: str
    ) -> None:
        self.described, self.placement = described, placement
        self.steps, self.source = steps, source

    def arrange(self, stored: Stored, select: Mapping[str, int]) -> LazyArray:
        """Select, squeeze, transpose, roll and flip an array."""
        fixed = {dim: index for dim, index in select.items() if dim in stored.dims}
        sizes = {dim: size for dim, size in stored.sizes.items() if dim not in fixed}
        meaning = cube_dims(sizes, self.described, self.source)
        if self.steps is None:  # a static map may have one time
            meaning = {dim: name for dim, name in meaning.items() if name != "time"}
        for dim, size in sizes.items():
            if dim not in meaning and size != 1:
                raise FileProblem(
                    self.source,
                    found=f"dimension {dim!r} of {size}",
                    expected="time, y and x",
                    remedy=f"Select one: select = {{{dim!r}: 0}} in the description.",
                )
        own = {name: dim for dim, name in meaning.items()}
        dims: list[str | None] = [own[name] for name in DIMS if name in own]
        if self.steps is not None and "time" not in own:
            if self.steps != 1:
                raise FileProblem(
                    self.source, found=f"{self.steps} times and a variable without", expected="one"
                )
            dims.insert(len(dims) - 2, None)
        return self.placement.apply(stored.arranged(dims, fixed))

"""Crop a granule that came whole to a box and to what its reader needs.

Values are copied as they are stored, with their attributes; nothing is decoded or resampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vadose.errors import FileProblem, NoOverlap
from vadose.grids import Region, named_grid
from vadose.products.fetching.contents import Names, needed, placing, whole_grid
from vadose.products.fetching.cuts import Cut
from vadose.products.fetching.extents import cells_in
from vadose.products.integrity import check_file

#: Cells kept around those whose centres lie in the box.
AROUND = 1
#: Names of one-dimensional coordinates, as the last part of a variable's name.
ROWS, COLUMNS = ("lat", "latitude", "y"), ("lon", "longitude", "x")
#: Attributes that belong to the file and not to the variable.
_OWN = {
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "CLASS",
    "NAME",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
    "_FillValue",
}
#: Cells of a chunk of what is written.
CHUNK = 256


def crop_file(source: Path, target: Path, products: Sequence[str], cut: Cut) -> None:
    """Write the part of a granule that a cut asks for.

    Parameters
    ----------
    source
        HDF5 or netCDF-4, whole.
    target
        What is written; an older file there is replaced.
    products
        Products that read it, one or more.
    cut
        Box, to which a margin of a cell is added, and variables.

    Raises
    ------
    FileProblem, NoOverlap
        It is not a whole granule of the product, or nothing of it lies in the box.
    """
    check_file(source)
    with h5py.File(source, "r") as whole:
        names = _present(whole, products, cut)
        windows = _windows(whole, source, products[0], cut.box)
        with h5py.File(target, "w", track_order=True) as part:
            _copy_attributes(whole, part)
            if "Metadata" in whole:
                whole.copy(whole["Metadata"], part, "Metadata")
            for name in _with_scales(whole, names):
                _copy(whole[name], part, name, windows)
            _attach(whole, part)
            _say_where(part, products[0], windows)


def _present(whole: h5py.File, products: Iterable[str], cut: Cut) -> list[str]:
    """List the variables to keep: the first alternative that the file has of each, and what tells where."""
    names: Names = {}
    for product in products:
        names.update(needed(product, ()))
    wanted = cut.variables or tuple(names)
    found = []
    for name in wanted:
        several = names.get(name, (name,))
        found += [one for one in several if isinstance(whole.get(one), h5py.Dataset)][:1]
    places = [name for product in products for name in placing(product)]
    found += [name for name in places if isinstance(whole.get(name), h5py.Dataset)]
    groups = {name.rpartition("/")[0] for name in found}
    found += [
        f"{group}/time".lstrip("/")
        for group in groups
        if isinstance(whole.get(f"{group}/time".lstrip("/")), h5py.Dataset)
    ]
    return list(dict.fromkeys(found))


def _with_scales(whole: h5py.File, names: Iterable[str]) -> list[str]:
    """Add what the variables stand on: their coordinates, and those coordinates' bounds."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0).lstrip("/")
        if name in found or not isinstance(whole.get(name), h5py.Dataset):
            continue
        found[name] = None
        array = whole[name]
        waiting += [scale.name for dim in array.dims for scale in dim.values() if scale.name]
        bounds = array.attrs.get("bounds", b"")
        text = bounds.decode() if isinstance(bounds, bytes) else str(bounds)
        if text:
            waiting.append(f"{name.rpartition('/')[0]}/{text}")
    return list(found)


def _windows(
    whole: h5py.File, source: Path, product: str, box: Region
) -> dict[tuple[str, int], slice]:
    """Find rows and columns to keep: by the name of the axis and its whole length."""
    name, (_, south, _, _) = whole_grid(product)
    grid = named_grid(name)
    if name.startswith("latlon"):
        west, low, east, north = box
        longitude, latitude = (_axis(whole, source, names) for names in (COLUMNS, ROWS))
        return {
            ("y", latitude.size): _run(latitude, max(low, south), north, source),
            ("x", longitude.size): _run(longitude, west, east, source),
        }
    sizes = (int(grid.shape.y), int(grid.shape.x))
    shapes = {
        whole[one].shape[:2]
        for one in needed(product, ())
        if isinstance(whole.get(one), h5py.Dataset)
    }
    if shapes != {sizes}:
        raise FileProblem(source, found=f"maps of {shapes}", expected=f"{sizes} of a whole granule")
    found = cells_in(name, box)
    if found is None:
        raise NoOverlap(source, found="no cell in the box", expected="a larger box")
    rows, columns = found
    return {
        ("y", sizes[0]): _widened(rows, sizes[0]),
        ("x", sizes[1]): _widened(columns, sizes[1]),
    }


def _axis(whole: h5py.File, source: Path, names: Sequence[str]) -> Any:
    found: list[str] = []
    whole.visit(lambda one: found.append(one) if one.rpartition("/")[2] in names else None)
    for name in found:
        held = whole[name]
        if isinstance(held, h5py.Dataset) and held.ndim == 1 and held.size > 1:
            return np.asarray(held[()], dtype=np.float64)
    raise FileProblem(source, found=f"no {names[0]}", expected="a granule with coordinates")


def _run(centres: Any, low: float, high: float, source: Path) -> slice:
    inside = np.flatnonzero((centres >= low) & (centres <= high))
    if inside.size == 0:
        raise NoOverlap(source, found="no cell in the box", expected="a larger box")
    return _widened(slice(int(inside[0]), int(inside[-1]) + 1), centres.size)


def _widened(run: slice, size: int) -> slice:
    return slice(max(0, run.start - AROUND), min(size, run.stop + AROUND))


def _window_of(array: h5py.Dataset, windows: dict[tuple[str, int], slice]) -> tuple[slice, ...]:
    """Find what to keep of each axis: by the coordinate that stands on it, else by length, rows first."""
    left = {axis: (size, run) for (axis, size), run in windows.items()}
    chosen = []
    for place, size in enumerate(array.shape):
        dim = array.dims[place]
        own = array.name.rpartition("/")[2]
        scale = dim[0].name.rpartition("/")[2] if len(dim) and dim[0].name else dim.label
        if array.ndim == 1 and not scale:
            scale = own
        axis = "y" if scale in ROWS else "x" if scale in COLUMNS else ""
        if not axis and (not scale or "dim" in scale):  # nameless: rows come before columns
            axis = next((one for one, (length, _) in left.items() if length == size), "")
        run = left.pop(axis)[1] if axis in left and left[axis][0] == size else slice(0, size)
        chosen.append(run)
    return tuple(chosen)


def _copy(
    array: h5py.Dataset, part: h5py.File, name: str, windows: dict[tuple[str, int], slice]
) -> None:
    group = array.parent
    if group.name != "/" and group.name.strip("/") not in part:
        _copy_attributes(group, part.require_group(group.name))
    if array.shape == () or array.dtype.kind not in "iuf":
        array.file.copy(array, part, name, without_attrs=True)
        _copy_attributes(array, part[name])
        return
    window = _window_of(array, windows)
    values = array[window]
    options: dict[str, Any] = {}
    if values.ndim > 1 and values.size:
        options = {
            "chunks": tuple(min(size, CHUNK) for size in values.shape),
            "compression": "gzip",
            "shuffle": True,
        }
    fill = array.fillvalue if "_FillValue" in array.attrs else None
    kept = part.create_dataset(name, data=values, dtype=array.dtype, fillvalue=fill, **options)
    _copy_attributes(array, kept)
    if "_FillValue" in array.attrs:
        kept.attrs.create("_FillValue", array.attrs["_FillValue"])


def _copy_attributes(source: Any, target: Any) -> None:
    for key in source.attrs:
        if key not in _OWN:
            identity = h5py.h5a.open(source.id, key.encode())
            if identity.get_type().get_class() != h5py.h5t.REFERENCE:
                target.attrs[key] = source.attrs[key]


def _attach(whole: h5py.File, part: h5py.File) -> None:
    """Let coordinates stand on their axes again."""
    names: list[str] = []
    part.visititems(
        lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
    )
    kept = [name for name in names if name in whole and not name.startswith("Metadata")]
    for name in kept:
        if whole[name].is_scale:
            part[name].make_scale(name.rpartition("/")[2])
    for name in kept:
        if part[name].is_scale:
            continue
        for place, dim in enumerate(whole[name].dims):
            for scale in dim.values():
                if scale.name.lstrip("/") in part:
                    part[name].dims[place].attach_scale(part[scale.name])


def _say_where(part: h5py.File, product: str, windows: dict[tuple[str, int], slice]) -> None:
    """Write where a part of an EASE-Grid lies, which whole granules need not say."""
    name, _ = whole_grid(product)
    if name.startswith("latlon"):
        return
    grid = named_grid(name)
    rows, columns = (run for _, run in sorted(windows.items(), reverse=True))
    window = grid[rows.start : rows.stop, columns.start : columns.stop]
    for axis, size, step, edge in (
        ("y", window.shape.y, window.affine.e, window.affine.f),
        ("x", window.shape.x, window.affine.a, window.affine.c),
    ):
        if axis in part:
            continue
        kept = part.create_dataset(axis, data=edge + step * (np.arange(size) + 0.5))
        kept.attrs["units"] = "m"
        kept.attrs["standard_name"] = f"projection_{axis}_coordinate"
    if "EASE2_global_projection" not in part:
        mapping = part.create_dataset("EASE2_global_projection", data=np.int8(0))
        mapping.attrs["grid_mapping_name"] = "lambert_cylindrical_equal_area"
        mapping.attrs["standard_parallel"] = 30.0
        mapping.attrs["longitude_of_central_meridian"] = 0.0
        mapping.attrs["false_easting"] = 0.0
        mapping.attrs["false_northing"] = 0.0

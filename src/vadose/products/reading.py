"""Read one file as its `Description` says, lazily, in our names, units, order and grid."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.errors import FileProblem
from vadose.products.decode import decode_flags, decode_values
from vadose.products.description import Description, FlagLayer, Layer, matches
from vadose.products.formats import open_raw
from vadose.products.layout import Axes, cube_dims, placement_of, times_of
from vadose.products.placement import Placement, coordinates_of
from vadose.products.raw import LazyArray, MappedArray, RawFile, Stored, Values
from vadose.products.units import conversion
from vadose.schema import DIMS, GRID_MAPPING, QUALITY, variable


def read_described(path: Path, described: Description) -> xr.Dataset:
    """Open one file lazily as described.

    Parameters
    ----------
    path
        The file.
    described
        Where each variable is, and in which unit.

    Returns
    -------
    xarray.Dataset
        Dims ``[member,] [time,] y, x``; NaN where the file has no data.

    Raises
    ------
    FileProblem, UnitProblem, GridProblem
        Name the file and the variable.
    """
    with open_raw(path) as raw:
        stored = _stored_layers(raw, path, described)
        first = next(iter(stored.values()))[1][0][1]
        dims = cube_dims(first.sizes, described, f"{path}")
        placement = placement_of(raw, first, dims, described)
        times = times_of(raw, path, described)
        flags = [(flag, _stored_flag(raw, flag)) for flag in described.flags]
    axes = Axes(described, placement, None if times is None else times.size, str(path))
    arrays: dict[str, LazyArray] = {}
    reasons: list[LazyArray] = []
    for name, (layer, parts) in stored.items():
        arrays[name] = _decode_layer(name, layer, parts, axes)
        if layer.valid_range is not None and name == next(iter(described.layers)):
            everything = _decode_layer(name, replace(layer, valid_range=None), parts, axes)
            reasons.append(MappedArray(_lost, arrays[name], everything, dtype=np.uint16))
    for flag, flagged in flags:
        if flagged is not None:
            source = f"{path}: {flag.source}"
            bits = decode_flags(flagged, flag.reasons, kind=flag.kind, source=source)
            reasons.append(axes.arrange(replace(flagged, array=bits), {}))
    if reasons:
        arrays["quality"] = MappedArray(_any_reason, *reasons, dtype=np.uint16)
    return build(arrays, placement, times, cell_methods=described.cell_methods)


def _lost(values: Values, everything: Values) -> Values:
    """Mark what the valid range took away: there without the range, gone with it."""
    is_lost = np.isnan(values) & ~np.isnan(everything)
    return np.where(is_lost, QUALITY.mask("out_of_range"), 0)


def _any_reason(*reasons: Values) -> Values:
    return functools.reduce(np.bitwise_or, reasons)


def build(
    arrays: Mapping[str, LazyArray],
    placement: Placement,
    times: Any,
    *,
    cell_methods: str = "",
) -> xr.Dataset:
    """Make a dataset of arrays that are in our units and order.

    Parameters
    ----------
    arrays
        Lazy arrays ``[member,] [time,] y, x``.
    placement
        Their grid.
    times
        Stamps, or None for static layers.
    cell_methods
        CF cell method of the variables.
    """
    coords: dict[Any, Any] = coordinates_of(placement.grid)
    if times is not None:
        coords["time"] = ("time", times, {"standard_name": "time", "axis": "T"})
    data = {}
    for name, array in arrays.items():
        dims: tuple[str, ...] = DIMS[len(DIMS) - array.ndim :]
        if times is None and array.ndim == 3:
            dims = ("member", "y", "x")
        attributes: dict[str, Any] = {**variable(name).attributes(), "grid_mapping": GRID_MAPPING}
        if name == "quality":
            attributes.update(QUALITY.attributes())
        elif cell_methods and times is not None:
            attributes["cell_methods"] = cell_methods
        data[name] = (dims, array.lazily(), attributes)
    return xr.Dataset(data, coords=coords)


Part = tuple[float, Stored]


def _stored_layers(
    raw: RawFile, path: Path, described: Description
) -> dict[str, tuple[Layer, list[Part]]]:
    found: dict[str, tuple[Layer, list[Part]]] = {}
    wanted = {name: layer for name, layer in described.layers.items() if matches(layer, path)}
    for name, layer in wanted.items():
        if isinstance(layer.source, Mapping):
            names = list(layer.source)
            if layer.is_optional and not all(raw.has(one) for one in names):
                continue
            found[name] = (
                layer,
                [(weight, raw.need(one)) for one, weight in layer.source.items()],
            )
            continue
        alternatives = layer.source if isinstance(layer.source, tuple) else (str(layer.source),)
        if layer.is_optional and raw.find(alternatives) is None:
            continue
        found[name] = (layer, [(1.0, raw.need(*alternatives))])
    if not found:
        sources = ", ".join(
            layer.files if layer.files != "*" else str(layer.source)
            for layer in (wanted or described.layers).values()
        )
        held = ", ".join(raw.names[:40])
        raise FileProblem(
            path,
            found=f"none of the variables of {described.name} (it has {held})",
            expected=f"at least one of {sources}",
        )
    return found


def _stored_flag(raw: RawFile, flag: FlagLayer) -> Stored | None:
    names = flag.source if isinstance(flag.source, tuple) else (flag.source,)
    if flag.is_optional and raw.find(names) is None:
        return None
    return raw.need(*names)


def decode_stored(name: str, layer: Layer, stored: Stored, *, source: str) -> LazyArray:
    """Turn one stored array of a variable into float32 in our unit, lazily; gaps become NaN.

    Raises
    ------
    FileProblem, UnitProblem
    """
    units = layer.units or stored.attrs.get("units", stored.attrs.get("Units"))
    return decode_values(
        stored,
        source=source,
        conversion=conversion(
            None if units is None else str(units),
            variable(name).units,
            source=source,
            thickness=layer.thickness,
            hours=layer.hours,
        ),
        fill_values=layer.fill_values,
        valid_range=layer.valid_range,
        packing=(layer.scale, layer.offset),
    )


def _decode_layer(name: str, layer: Layer, parts: list[Part], axes: Axes) -> LazyArray:
    """Convert the weighted sum of the parts: the unit belongs to the sum, the packing to each part."""
    source = f"{axes.source}: {name} (as {layer.source!r})"
    decoded = [decode_stored(name, layer, stored, source=source) for _, stored in parts]
    total = decoded[0]
    if isinstance(layer.source, Mapping):
        weights = tuple(weight for weight, _ in parts)
        total = MappedArray(functools.partial(weighted_sum, weights), *decoded, dtype=np.float32)
    return axes.arrange(replace(parts[0][1], array=total), layer.select)


def weighted_sum(weights: Sequence[float], *blocks: Values) -> Values:
    """Sum blocks with weights; a gap in one of them is a gap.

    Examples
    --------
    >>> weighted_sum((0.25, 0.75), np.array([0.1, 0.2]), np.array([0.3, np.nan]))
    array([0.25,  nan])
    """
    total = np.zeros(blocks[0].shape)
    for weight, block in zip(weights, blocks, strict=True):
        total += weight * block
    return total

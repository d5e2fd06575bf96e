"""Several products at the same places and times: checked, then worked on chunk by chunk of places."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, GridProblem, RecipeProblem, UnitProblem

Array = npt.NDArray[Any]
#: Places that are worked on together: what they need beside the data stays within some tens of MB.
TOGETHER = 16384


@dataclass(frozen=True)
class Output:
    """Describe a result: its dims beside the places, its type and its attributes.

    Attributes
    ----------
    dims
        In front of the places.
    dtype
        As numpy names it.
    attrs
        Attributes, ``long_name`` at the least.
    """

    dims: tuple[str, ...]
    dtype: str
    attrs: Mapping[str, Any]


def check_products(
    products: Mapping[str, xr.DataArray],
    *,
    least: int,
    most: int | None = None,
    one_unit: bool = True,
) -> dict[str, xr.DataArray]:
    """Check that products can be held against each other: number, dims, coordinates, units.

    Parameters
    ----------
    products
        By name, with ``time`` and the same dims and coordinates.
    least, most
        How many there must be.
    one_unit
        They must have the same unit; a product without any passes.

    Returns
    -------
    dict of str to xarray.DataArray
        With time first and, where they are dask arrays, in one chunk along it.

    Raises
    ------
    RecipeProblem
        Too few or too many products.
    CubeProblem
        No time, or other dims than the first product.
    GridProblem
        Other times or places than the first product.
    UnitProblem
        Another unit than the first product.
    """
    if len(products) < least or (most is not None and len(products) > most):
        raise RecipeProblem(
            "products",
            found=f"{len(products)} ({', '.join(products) or 'none'})",
            expected=f"exactly {least}" if most == least else f"{least} or more",
        )
    first, *_ = products
    checked: dict[str, xr.DataArray] = {}
    for name, array in products.items():
        if "time" not in array.dims or set(array.dims) != set(products[first].dims):
            raise CubeProblem(
                f"product {name!r}",
                found=f"dims {_listed(array.dims)}",
                expected=f"time and the dims of {first!r}: {_listed(products[first].dims)}",
            )
        try:
            xr.align(products[first], array, join="exact", copy=False)
        except ValueError as problem:
            raise GridProblem(
                f"product {name!r}",
                found=f"other times or places than those of {first!r}",
                remedy="Put all products on one grid and on common times first.",
            ) from problem
        units = [each.attrs.get("units") for each in (products[first], array)]
        if one_unit and None not in units and units[0] != units[1]:
            raise UnitProblem(
                f"product {name!r}",
                found=f"unit {units[1]!r}",
                expected=f"{units[0]!r}, as {first!r}",
            )
        ordered = array.transpose("time", *(dim for dim in products[first].dims if dim != "time"))
        checked[name] = ordered if ordered.chunks is None else ordered.chunk({"time": -1})
    return checked


def label_products(names: Sequence[str]) -> Array:
    """Make a coordinate of names: as objects, since Zarr has no settled type for text of fixed length."""
    return np.array(names, dtype=object)


def map_places(
    function: Callable[[list[Array]], Mapping[str, Array]],
    products: Mapping[str, xr.DataArray],
    outputs: Mapping[str, Output],
    sizes: Mapping[str, int],
) -> xr.Dataset:
    """Work on all places, some thousands at a time; on dask arrays, when and where they are computed.

    Parameters
    ----------
    function
        Takes one array ``(time, place)`` per product, gives arrays ``(*dims, place)``.
    products
        As `check_products` gives them.
    outputs
        What `function` gives, by name.
    sizes
        Of the dims of the outputs.

    Returns
    -------
    xarray.Dataset
        The outputs, dims ``(*dims, *places)``.
    """

    def work(*arrays: Any) -> list[Array]:
        # dask hands over a list of chunks along time, of which there is one
        parts = [array[0] if isinstance(array, list) else array for array in arrays]
        return _work(function, parts, outputs, sizes)

    first = next(iter(products.values()))
    where = list(first.dims[1:])
    coords = {
        name: coord
        for name, coord in first.coords.items()
        if "time" not in coord.dims and name not in sizes
    }
    made = dict(
        zip(outputs, _lazily(work, products, outputs, sizes), strict=True)
        if any(array.chunks is not None for array in products.values())
        else zip(outputs, work(*(array.values for array in products.values())), strict=True)
    )
    return xr.Dataset(
        {
            name: ((*output.dims, *where), made[name], dict(output.attrs))
            for name, output in outputs.items()
        },
        coords=coords,
    )


def _work(
    function: Callable[[list[Array]], Mapping[str, Array]],
    arrays: Sequence[Array],
    outputs: Mapping[str, Output],
    sizes: Mapping[str, int],
) -> list[Array]:
    """Work on some lines of places at a time: arrays are not copied as a whole, whatever their layout."""
    shape = arrays[0].shape[1:] or (1,)
    ordered = [array.reshape(len(array), 1) if array.ndim == 1 else array for array in arrays]
    made = [
        np.empty((*(sizes[dim] for dim in output.dims), *shape), output.dtype)
        for output in outputs.values()
    ]
    together = max(TOGETHER * shape[0] // max(math.prod(shape), 1), 1)
    for start in range(0, shape[0], together):
        lines = slice(start, start + together)
        parts = [array[:, lines] for array in ordered]
        found = function([part.reshape(len(part), -1) for part in parts])
        for (name, output), values in zip(outputs.items(), made, strict=True):
            target = values[(slice(None),) * len(output.dims) + (lines,)]
            target[...] = found[name].reshape(target.shape)
    return [
        values.reshape((*values.shape[: len(output.dims)], *arrays[0].shape[1:]))
        for output, values in zip(outputs.values(), made, strict=True)
    ]


def _lazily(
    work: Callable[..., list[Array]],
    products: Mapping[str, xr.DataArray],
    outputs: Mapping[str, Output],
    sizes: Mapping[str, int],
) -> Iterator[Any]:
    """Give the results as dask arrays: a chunk of places is worked on once for all of them.

    `xarray.apply_ufunc` would bring time to the end and copy every chunk, twice the time of the work.
    """
    arrays = [array.data for array in xr.unify_chunks(*(p.chunk() for p in products.values()))]
    axes = tuple(range(arrays[0].ndim))  # 0 is time
    together = dask.array.blockwise(
        work,
        axes[1:],
        *(part for array in arrays for part in (array, axes)),
        dtype=object,
        meta=np.empty((0,) * (len(axes) - 1), object),
    )
    for number, output in enumerate(outputs.values()):
        own = tuple(range(len(axes), len(axes) + len(output.dims)))
        yield dask.array.blockwise(
            operator.itemgetter(number),
            (*own, *axes[1:]),
            together,
            axes[1:],
            new_axes={axis: sizes[dim] for axis, dim in zip(own, output.dims, strict=True)},
            dtype=np.dtype(output.dtype),
            meta=np.empty((0,) * (len(own) + len(axes) - 1), output.dtype),
        )


def _listed(dims: Sequence[Hashable]) -> str:
    return "(" + ", ".join(map(str, dims)) + ")"

"""Several products at the same places and times: checked, then worked on chunk by chunk of places."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

    def work(*arrays: Array) -> tuple[Array, ...]:
        shape = arrays[0].shape[:-1]
        flat = [np.moveaxis(array, -1, 0).reshape(array.shape[-1], -1) for array in arrays]
        places = flat[0].shape[1]
        made = {
            name: np.empty((*(sizes[dim] for dim in output.dims), places), output.dtype)
            for name, output in outputs.items()
        }
        for start in range(0, places, TOGETHER):
            here = slice(start, start + TOGETHER)
            for name, values in function([array[:, here] for array in flat]).items():
                made[name][..., here] = values
        return tuple(
            np.moveaxis(
                values.reshape((*values.shape[:-1], *shape)),
                range(values.ndim - 1),
                range(len(shape), len(shape) + values.ndim - 1),
            )
            for values in made.values()
        )

    found = xr.apply_ufunc(
        work,
        *products.values(),
        input_core_dims=[["time"]] * len(products),
        output_core_dims=[list(output.dims) for output in outputs.values()],
        output_dtypes=[np.dtype(output.dtype) for output in outputs.values()],
        dask="parallelized",
        keep_attrs=False,
        dask_gufunc_kwargs={"output_sizes": dict(sizes)},
        join="exact",
    )
    first = next(iter(products.values()))
    where = [dim for dim in first.dims if dim != "time"]
    results = zip(outputs.items(), found if isinstance(found, tuple) else (found,), strict=True)
    return xr.Dataset(
        {
            name: array.transpose(*output.dims, *where).assign_attrs(output.attrs)
            for (name, output), array in results
        }
    )


def _listed(dims: Sequence[Hashable]) -> str:
    return "(" + ", ".join(map(str, dims)) + ")"

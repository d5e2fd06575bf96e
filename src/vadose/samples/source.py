"""Read a cube, or a part of it, into one array of features and what goes with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.grids import grid_of, lonlat
from vadose.samples.base import Column, Frame, Mask, Numbers, Table
from vadose.schema import check_cube, variable

#: First and end of the steps, rows and columns of a part of a cube.
Box = tuple[slice, slice, slice]
#: Values of a lazy cube that are read at once: 256 MB. Pieces of one chunk on disk are read together.
READ_AT_ONCE = 2**26
#: What the longitude and latitude of each cell are called as features.
POSITION = ("longitude", "latitude")


@dataclass(frozen=True, eq=False)
class Block:
    """Hold a part of a cube as arrays of dims ``(time, y, x)``.

    Attributes
    ----------
    columns
        One per feature, not yet freed of gaps. Views of the cube wherever its type allows, and of one
        map where the feature is the same at each step: not to be written to.
    y
        Plus ``output``; None without targets.
    groups, weight
        None when not asked for.
    is_complete
        Every feature has a value.
    is_chosen
        The place was asked for.
    known
        Number of values of each variable.
    box
        Steps, rows and columns in the whole cube.
    source
        Where it comes from.
    """

    columns: tuple[Table, ...]
    y: Column | None
    groups: Numbers | None
    weight: Column | None
    is_complete: Mask
    is_chosen: Mask
    known: dict[str, int]
    box: Box
    source: Source

    @property
    def corner(self) -> tuple[int, int, int]:
        """Give step, row and column of the first place in the whole cube."""
        return self.box[0].start, self.box[1].start, self.box[2].start

    @property
    def first(self) -> int:
        """Give the number of the first place in the whole cube."""
        (step, row, column), (_, rows, columns) = self.corner, self.source.frame.shape
        return (step * rows + row) * columns + column

    @cached_property
    def X(self) -> Table:  # noqa: N802 - what models call it
        """Give all features as one array, which is the block's own: dims ``(time, y, x, feature)``."""
        return np.stack(self.columns, axis=-1)

    @cached_property
    def index(self) -> Numbers:
        """Give the number of each place in the whole cube."""
        time, row, column = (np.arange(edge.start, edge.stop, dtype=np.int64) for edge in self.box)
        _, rows, columns = self.source.frame.shape
        return np.asarray((time[:, None, None] * rows + row[:, None]) * columns + column)

    def rows(self, chosen: Mask) -> Table:
        """Give the features of the chosen places only, dims ``(place, feature)``."""
        table = np.empty((int(np.count_nonzero(chosen)), len(self.columns)), dtype=np.float32)
        # the whole of a block beside its chosen places would be twice the memory
        features = np.empty((*chosen.shape[1:], len(self.columns)), dtype=np.float32)
        end = 0
        for step, is_row in enumerate(chosen):
            for place, column in enumerate(self.columns):
                if step == 0 or column.strides[0]:
                    features[..., place] = column[step]
            start, end = end, end + int(np.count_nonzero(is_row))
            np.compress(
                is_row.ravel(),
                features.reshape(-1, len(self.columns)),
                axis=0,
                out=table[start:end],
            )
        return table


@dataclass(frozen=True, eq=False)
class Source:
    """Hold a checked cube and what is to be taken from it."""

    cube: xr.Dataset
    features: tuple[str, ...]
    targets: tuple[str, ...]
    position: tuple[Column, Column] | None
    where: xr.DataArray | None
    groups: xr.DataArray | None
    weight: xr.DataArray | None
    frame: Frame

    @classmethod
    def of(
        cls,
        cube: xr.Dataset,
        features: Sequence[str],
        targets: Sequence[str],
        *,
        with_position: bool,
        where: xr.DataArray | None,
        groups: xr.DataArray | None,
        weight: xr.DataArray | None,
    ) -> Self:
        """Check a cube and what is to be taken at the same places."""
        check_cube(cube, required=[*features, *targets])
        frame = Frame.of(cube)
        for name, array, kinds in (("where", where, "b"), ("groups", groups, "iu")):
            if array is not None and array.dtype.kind not in kinds:
                expected = "true or false" if kinds == "b" else "whole numbers"
                raise CubeProblem(name, found=f"type {array.dtype}", expected=expected)
        for name, array in (("where", where), ("groups", groups), ("weight", weight)):
            if array is not None:
                _check_places(name, array, frame)
        position = lonlat(grid_of(cube)) if with_position else None
        kept = cube[list(dict.fromkeys([*features, *targets]))]
        return cls(kept, tuple(features), tuple(targets), position, where, groups, weight, frame)

    @property
    def whole(self) -> Box:
        """Give the box of all places."""
        steps, rows, columns = self.frame.shape
        return slice(0, steps), slice(0, rows), slice(0, columns)

    def blocks(self, boxes: Iterable[Box]) -> Iterator[Block]:
        """Read the boxes one after the other; those of one chunk of a lazy cube together."""
        lazy = sum(array.chunks is not None for array in self.cube.data_vars.values())
        for first, boxes_together in _together(boxes, READ_AT_ONCE // max(lazy, 1)):
            part = _at(self.cube, first).compute()
            corner = tuple(edge.start for edge in first)
            for box in boxes_together:
                inside = tuple(
                    slice(edge.start - start, edge.stop - start)
                    for edge, start in zip(box, corner, strict=True)
                )
                yield self._block(_at(part, (inside[0], inside[1], inside[2])), box)

    def _block(self, part: xr.Dataset, box: Box) -> Block:
        shape = (
            box[0].stop - box[0].start,
            box[1].stop - box[1].start,
            box[2].stop - box[2].start,
        )
        is_complete = np.ones(shape, dtype=bool)
        columns, known = [], {}
        for name in self.features:
            values = decoded(part[name], np.float32)
            is_known = ~np.isnan(values)
            known[name] = int(np.count_nonzero(is_known))
            is_complete &= is_known
            columns.append(np.broadcast_to(values, shape))
        for degrees in self.position or ():
            columns.append(np.broadcast_to(degrees[box[1], box[2]].astype(np.float32), shape))
        target: Column | None = None
        if self.targets:
            target = np.empty((*shape, len(self.targets)))
            for place, name in enumerate(self.targets):
                values = decoded(part[name], np.float64)
                known[name] = int(np.count_nonzero(np.isfinite(values)))
                target[..., place] = values
        return Block(
            columns=tuple(columns),
            y=target,
            groups=None if self.groups is None else _spread(self.groups, box, shape, np.int64),
            weight=None if self.weight is None else _spread(self.weight, box, shape, np.float64),
            is_complete=is_complete,
            is_chosen=np.ones(shape, dtype=bool)
            if self.where is None
            else _spread(self.where, box, shape, np.bool_),
            known=known,
            box=box,
            source=self,
        )


def decoded(array: xr.DataArray, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """Give the values of a variable as floating-point numbers, NaN where an integer means missing.

    They are the variable's own where these are of the type already: not to be written to.

    Raises
    ------
    ValueProblem
        A value that is infinite or too large for the type.
    """
    with np.errstate(over="ignore"):  # becomes infinite, and is refused
        values: npt.NDArray[np.floating] = array.values.astype(dtype, copy=False)
    missing = variable(str(array.name)).missing
    if array.dtype.kind != "f" and missing is not None:
        values[array.values == missing] = np.nan
    is_infinite = np.isinf(values)
    if is_infinite.any():
        raise ValueProblem(
            str(array.name),
            found=f"{int(is_infinite.sum())} infinite values",
            expected="numbers, or NaN in gaps",
        )
    return values


def _at(cube: xr.Dataset, box: Box) -> xr.Dataset:
    edges = dict(zip(("time", "y", "x"), box, strict=True))
    return cube.isel(edges, missing_dims="ignore")


def _check_places(name: str, array: xr.DataArray, frame: Frame) -> None:
    """Insist that an array lies on the cube: its dims among those of the cube, and the same labels."""
    sizes = dict(zip(frame.dims, frame.shape[-len(frame.dims) :], strict=True))
    problem = ""
    if not set(array.dims) <= set(frame.dims):
        problem = f"dimensions {array.dims}"
    elif any(array.sizes[dim] != sizes[str(dim)] for dim in array.dims):
        problem = f"sizes {dict(array.sizes)}"
    else:
        for dim in set(array.dims) & set(array.coords):
            here, there = array[dim].values, frame.coords[dim].values
            if here.dtype.kind == "f":  # a coordinate computed anew may be off by a rounding
                close = 1e-6 * np.abs(there).max()
                is_same = np.allclose(here, there, rtol=0.0, atol=close)
            else:
                is_same = np.array_equal(here, there)
            if not is_same:
                problem = f"another coordinate {dim}"
    if problem:
        raise CubeProblem(
            name,
            found=problem,
            expected=f"some of the dimensions {sizes} of the cube, with its coordinates",
        )


def _spread(
    array: xr.DataArray, box: Box, shape: tuple[int, int, int], dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """Give an array at all places of a box; dims that it lacks are repeated."""
    edges = dict(zip(("time", "y", "x"), box, strict=True))
    part = array.isel(edges, missing_dims="ignore").transpose(
        "time", "y", "x", missing_dims="ignore"
    )
    sizes = [size if dim in array.dims else 1 for dim, size in zip(edges, shape, strict=True)]
    return np.broadcast_to(part.values.astype(dtype).reshape(sizes), shape)


def _together(boxes: Iterable[Box], most: int) -> Iterator[tuple[Box, list[Box]]]:
    """Join boxes that follow each other to larger ones of at most so many places."""
    joined: Box | None = None
    members: list[Box] = []
    for box in boxes:
        larger = box if joined is None else _joined(joined, box)
        if joined is not None and (larger is None or _volume(larger) > most):
            yield joined, members
            members, larger = [], box
        joined = larger
        members.append(box)
    if joined is not None:
        yield joined, members


def _joined(first: Box, second: Box) -> Box | None:
    """Give the box that two boxes with one differing edge span; None where it would hold others too."""
    differing = [axis for axis in range(3) if first[axis] != second[axis]]
    if len(differing) != 1:
        return None
    axis = differing[0]
    edges = list(first)
    edges[axis] = slice(first[axis].start, second[axis].stop)
    return edges[0], edges[1], edges[2]


def _volume(box: Box) -> int:
    return int(np.prod([edge.stop - edge.start for edge in box]))

"""What all samplers share: samples that know where they belong, and the canvas they are put back on.

A *place* is one cell at one step: what a row, a step of a sequence or a cell of a patch stands for. The
place of each value is a number, its position in the field of dims ``time, y, x`` when flattened, or −1
where nothing is to be put back: outside of the map, in a gap, or where another sample knows better. So
one way back serves rows, sequences and patches.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem
from vadose.grids import grid_of

Table = npt.NDArray[np.float32]
Column = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
#: What a place that is not put back has for a number.
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Frame:
    """Hold the shape and coordinates of the cube that samples come from.

    Attributes
    ----------
    dims
        ``time, y, x`` or ``y, x``.
    shape
        Steps, rows and columns; one step for a cube without time.
    coords
        Of ``y, x``, the grid and, if there is one, ``time``.
    """

    dims: tuple[str, ...]
    shape: tuple[int, int, int]
    coords: Mapping[Hashable, xr.DataArray]

    @classmethod
    def of(cls, cube: xr.Dataset) -> Self:
        """Take the frame of a cube.

        Raises
        ------
        CubeProblem
            No grid, or members, of which one has to be chosen before.
        """
        if "member" in cube.dims:
            raise CubeProblem(
                "cube",
                found=f"{cube.sizes['member']} members",
                expected="dimensions [time,] y, x",
                remedy="Choose one: cube.isel(member=0, drop=True).",
            )
        grid = grid_of(cube)
        dims = ("time", "y", "x") if "time" in cube.dims else ("y", "x")
        coords = {
            name: coord
            for name, coord in cube.coords.items()
            if coord.ndim == 0 or (coord.dims == (name,) and name in dims)
        }
        return cls(dims, (cube.sizes.get("time", 1), grid.shape.y, grid.shape.x), coords)

    def is_same(self, other: Frame) -> bool:
        """Tell whether another frame has the same dims and coordinates."""
        if self is other:
            return True
        return (self.dims, self.shape) == (other.dims, other.shape) and all(
            np.array_equal(self.coords[dim], other.coords[dim]) for dim in self.dims
        )


@dataclass(frozen=True, eq=False)
class Samples:
    """Hold arrays for a model (`vadose.models.base`) and the place of each of their values.

    Attributes
    ----------
    X
        Dims ``(sample, feature)``, ``(sample, time, feature)`` or ``(sample, y, x, feature)``.
    y
        Shape of `X` without ``feature``, plus ``output`` when there are several targets; NaN where
        nothing is known. None when there is no target.
    groups
        Shape of `X` without ``feature``; −1 outside of the map. None when not asked for.
    weight
        As `groups`; 0 outside of the map.
    index
        As `groups`: the number of each place in the flattened cube, −1 where nothing is put back.
    frame
        Of the whole cube, also when these are a part of its samples.
    feature_names, target_names
        Names along ``feature`` and ``output``.
    """

    X: Table
    y: Column | None
    groups: Numbers | None
    weight: Column | None
    index: Numbers
    frame: Frame
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.X)


class Canvas:
    """Put the values of samples back where they belong, batch by batch.

    Raises
    ------
    CubeProblem
        Values of another shape than the places of their samples, or samples of another cube.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.samples import Rows
    >>> cube = vadose.synthetic.world(size=16, days=8, factor=4).predictors
    >>> canvas = Canvas()
    >>> for batch in Rows(["ndvi"]).batches(cube, places=300):
    ...     canvas.add(batch.X[:, 0], batch)
    >>> bool((canvas.field() == cube["ndvi"]).all())
    True
    """

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._outputs: int | None = None
        self._names: tuple[str, ...] = ()

    def add(self, values: npt.ArrayLike, samples: Samples) -> None:
        """Put the values of some samples in their places.

        Parameters
        ----------
        values
            One per place of `samples`, or with a last dimension ``output``.
        samples
            What they were predicted from.
        """
        given, places = np.asarray(values), samples.index.shape
        has_outputs = given.ndim == len(places) + 1
        if given.shape[: len(places)] != places or not (has_outputs or given.ndim == len(places)):
            raise CubeProblem(
                "values",
                found=f"shape {given.shape}",
                expected=f"{places}, one per place of the samples, with or without outputs",
            )
        outputs = given.shape[-1] if has_outputs else None
        if self._frame is None:
            self._frame, self._outputs = samples.frame, outputs
            self._values = np.full((outputs or 1, int(np.prod(samples.frame.shape))), np.nan)
            if len(samples.target_names) == (outputs or 1):
                self._names = samples.target_names
        if not self._frame.is_same(samples.frame) or outputs != self._outputs:
            raise CubeProblem(
                "values",
                found="samples of another cube, or another number of outputs",
                expected="those of one cube on one canvas",
            )
        is_put = samples.index >= 0
        self._values[:, samples.index[is_put]] = given[is_put].reshape(is_put.sum(), -1).T

    def fields(self) -> list[xr.DataArray]:
        """Give one field per output: dims ``[time,] y, x``, NaN where there was no sample.

        Raises
        ------
        CubeProblem
            Nothing was put on the canvas.
        """
        frame = self._frame
        if frame is None:
            raise CubeProblem("canvas", found="no values", remedy="Add some first.")
        shape = frame.shape if "time" in frame.dims else frame.shape[1:]
        names = self._names or (None,) * len(self._values)
        return [
            xr.DataArray(field.reshape(shape), dims=frame.dims, coords=frame.coords, name=name)
            for field, name in zip(self._values, names, strict=True)
        ]

    def field(self) -> xr.DataArray:
        """Give the one field there is.

        Raises
        ------
        CubeProblem
            Nothing was put on the canvas, or several outputs.
        """
        fields = self.fields()
        if len(fields) > 1:
            raise CubeProblem("canvas", found=f"{len(fields)} outputs", remedy="Use fields().")
        return fields[0]


def put(values: npt.ArrayLike, samples: Samples) -> xr.DataArray | list[xr.DataArray]:
    """Put the values of samples back on the cube's grid.

    Parameters
    ----------
    values
        One per place of `samples`, or with a last dimension ``output``.
    samples
        What they were predicted from.

    Returns
    -------
    xarray.DataArray or list of them
        Dims ``[time,] y, x``, double precision, NaN where there is no sample; a list of one per output
        when `values` have that dimension.

    Raises
    ------
    CubeProblem
        Values of another shape than the places of the samples.
    """
    return assemble([(values, samples)])


def assemble(
    pieces: Iterable[tuple[npt.ArrayLike, Samples]],
) -> xr.DataArray | list[xr.DataArray]:
    """Put the values of all batches back on the cube's grid; see `put`.

    Raises
    ------
    CubeProblem
        No piece, values of another shape than their places, or samples of several cubes.
    """
    canvas = Canvas()
    has_outputs = False
    for values, samples in pieces:
        canvas.add(values, samples)
        has_outputs = np.ndim(values) > samples.index.ndim
    return canvas.fields() if has_outputs else canvas.field()

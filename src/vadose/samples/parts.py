"""The parts of a split: what is learned from, chosen on and judged on, and that they stay apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, ValueProblem
from vadose.grids import coordinates, grid_of, nesting


@dataclass(frozen=True, eq=False)
class Split:
    """Hold the parts of a split; what is in none of them was dropped to keep them apart.

    Attributes
    ----------
    train
        What models learn from. True or false, dims among ``time, y, x`` or ``station, time``.
    validation
        What to stop early and to choose settings on; may be empty.
    test
        What scores are told of.
    groups
        Whole numbers, dims among those of a part: places that share one stay together whenever the
        training part is divided again (``groups`` of the models).
    scheme
        Name in `vadose.samples.SCHEMES`.
    title
        The scheme in words, to stand beside every score.
    is_optimistic
        Test samples have neighbours among those learned from, so that scores are too good.

    Raises
    ------
    ValueProblem
        Parts that overlap, or nothing to learn from or to judge.
    CubeProblem
        Parts that are no masks of one shape.
    """

    train: xr.DataArray
    validation: xr.DataArray
    test: xr.DataArray
    groups: xr.DataArray
    scheme: str
    title: str
    is_optimistic: bool = False

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            if part.dtype != bool or part.dims != self.train.dims or part.shape != self.train.shape:
                raise CubeProblem(
                    f"split, {name}",
                    found=f"{part.dtype} of {dict(part.sizes)}",
                    expected=f"true or false of {dict(self.train.sizes)}, as train",
                )
        if not self.train.values.any():
            raise ValueProblem(
                self.title,
                found="nothing left to train on",
                expected="some places that are not near those held out",
                remedy="Take a smaller buffer or gap, more folds or larger blocks.",
            )
        if not self.test.values.any():
            raise ValueProblem(self.title, found="an empty test part", expected="some places")
        shared = np.sum([part.values for part in self.parts.values()], axis=0) > 1
        if shared.any():
            raise ValueProblem(
                self.title, found=f"{int(shared.sum())} places in two parts", expected="none"
            )

    @classmethod
    def of(
        cls,
        arrays: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
        *,
        dims: tuple[str, ...],
        coords: Mapping[Hashable, xr.DataArray],
        scheme: str,
        title: str,
        is_optimistic: bool = False,
    ) -> Self:
        """Make a split of four arrays of the same dims: train, validation, test and groups."""
        train, validation, test, groups = (
            xr.DataArray(values, dims=dims, coords=coords) for values in arrays
        )
        return cls(train, validation, test, groups, scheme, title, is_optimistic)

    @property
    def parts(self) -> Mapping[str, xr.DataArray]:
        """Give the three masks by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def on_fine(self, fine: GeoBox) -> Self:
        """Give the same decisions for all fine cells of each coarse cell; see `on_fine`."""
        return replace(
            self,
            train=on_fine(self.train, fine),
            validation=on_fine(self.validation, fine),
            test=on_fine(self.test, fine),
            groups=on_fine(self.groups, fine),
        )


def on_fine(coarse: xr.DataArray, fine: GeoBox) -> xr.DataArray:
    """Give each fine cell the decision or number of its coarse cell.

    So made, a split never divides the fine cells of a coarse cell, which share its target.

    Parameters
    ----------
    coarse
        Dims ``[time,] y, x``; what has no ``y, x`` is the same at every scale and given back as it is.
    fine
        Grid whose cells nest in those of `coarse`.

    Raises
    ------
    GridProblem
        Grids that do not nest.

    Examples
    --------
    >>> from vadose.grids import latlon, refined
    >>> grid = latlon(90.0)
    >>> mask = xr.DataArray(np.eye(2, 4) > 0, dims=("y", "x"), coords=coordinates(grid))
    >>> on_fine(mask, refined(grid, 2)).values.astype(int)
    array([[1, 1, 0, 0, 0, 0, 0, 0],
           [1, 1, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 0, 0, 0, 0],
           [0, 0, 1, 1, 0, 0, 0, 0]])
    """
    if not {"y", "x"} & set(coarse.dims):
        return coarse
    factors = nesting(grid_of(coarse), fine)
    values = coarse.values
    for dim, factor in factors.items():
        values = np.repeat(values, factor, axis=coarse.get_axis_num(dim))
    others = {name: coord for name, coord in coarse.coords.items() if coord.dims == ("time",)}
    coords = {**coordinates(fine), **others}
    return xr.DataArray(values, dims=coarse.dims, coords=coords, name=coarse.name)


def straddling(split: Split, coarse: GeoBox) -> int:
    """Count the coarse cells and days whose places are in more than one part of a split.

    The fine cells, hours or stations of one coarse cell and day share what a coarse sensor saw. Where
    they are in two parts, a model is judged on what it has learned.

    Parameters
    ----------
    split
        Of a grid that nests in `coarse`, of time alone, or of stations (with ``lat``, ``lon``).
    coarse
        The grid of the targets.

    Returns
    -------
    int
        0 where the parts are apart. A split without time counts each cell once.

    Raises
    ------
    GridProblem
        Grids that do not nest.
    """
    train = split.train
    bits = sum(
        part.values.astype(np.uint8) << place for place, part in enumerate(split.parts.values())
    )
    code = xr.DataArray(bits, dims=train.dims).transpose("time", ..., missing_dims="ignore")
    values = code.values
    if "time" in train.dims:
        day = train["time"].values.astype("datetime64[D]")
        values = np.bitwise_or.reduceat(values, np.unique(day, return_index=True)[1], axis=0)
    if "station" in train.dims:
        cells = cell_of(coarse, train["lon"].values, train["lat"].values)
        order = np.argsort(cells, kind="stable")
        first = np.unique(cells[order], return_index=True)[1]
        values = np.bitwise_or.reduceat(values[..., order], first, axis=-1)
    elif "y" in train.dims:
        factors = nesting(coarse, grid_of(train))
        shape = (*values.shape[:-2], coarse.shape.y, factors["y"], coarse.shape.x, factors["x"])
        values = np.bitwise_or.reduce(values.reshape(shape), axis=(-3, -1))
    return int((np.bitwise_count(values) > 1).sum())


def cell_of(
    grid: GeoBox, longitude: npt.NDArray[np.float64], latitude: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Give the number of the cell in which each place lies; places off the grid have one of their own.

    Parameters
    ----------
    grid
        Whose cells are numbered row by row.
    longitude, latitude
        Degrees; dims ``(station,)``.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> cell_of(latlon(90.0), np.array([-100.0, 100.0, 100.0]), np.array([10.0, -10.0, 95.0]))
    array([ 0,  7, 10])
    """
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True)
    x, y = (np.asarray(part) for part in to_grid.transform(longitude, latitude))
    column = np.floor((x - grid.affine.c) / grid.affine.a)
    row = np.floor((y - grid.affine.f) / grid.affine.e)
    rows, columns = grid.shape
    is_on = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    number = np.where(is_on, row * columns + column, rows * columns + np.arange(x.size))
    return number.astype(np.int64)

"""Blocks of space and time: numbered, dealt to folds, and kept apart by a buffer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy.ndimage import maximum_filter

from vadose.errors import ValueProblem
from vadose.grids import lonlat

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]
#: A seed, or a generator that is drawn from.
Rng = int | np.random.Generator
#: Radius of the sphere that distances between stations are measured on, km.
EARTH = 6371.0088
DAY = np.timedelta64(1, "D")


def map_blocks(shape: tuple[int, int], block: int) -> Numbers:
    """Give a number to the squares of `block` cells along each side, dims ``(y, x)``.

    Examples
    --------
    >>> map_blocks((3, 4), 2)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1],
           [2, 2, 3, 3]])
    """
    rows, columns = (np.arange(size) // block for size in shape)
    return rows[:, None] * (int(columns[-1]) + 1) + columns


def period_blocks(times: Times, days: int) -> Numbers:
    """Give a number to the periods of so many days from the first one on.

    Examples
    --------
    >>> period_blocks(np.array(["2019-07-01", "2019-07-02", "2019-07-05"], "datetime64[ns]"), 2)
    array([0, 0, 2])
    """
    day = times.astype("datetime64[D]")
    return np.asarray((day - day.min()) // DAY // days, dtype=np.int64)


def deal(numbers: Numbers, folds: int, rng: Rng, *, what: str) -> Numbers:
    """Give the fold of each number: as many to each fold, to within one, at random.

    Parameters
    ----------
    numbers
        Of blocks, any dims; below zero where there is nothing to deal.
    folds
        Number of folds.
    rng
        Seed or generator.
    what
        What a number stands for, in an error.

    Returns
    -------
    numpy.ndarray
        Dims of `numbers`; −1 where these are below zero.

    Raises
    ------
    ValueProblem
        Fewer blocks than folds.
    """
    different = np.unique(numbers[numbers >= 0])
    if different.size < folds:
        raise ValueProblem(
            "folds",
            found=f"{different.size} {what} for {folds} folds",
            expected="one or more for each fold",
            remedy="Ask for fewer folds, or smaller blocks.",
        )
    fold = np.full(int(different[-1]) + 1, -1, dtype=np.int64)
    order = np.random.default_rng(rng).permutation(different.size)
    fold[different[order]] = np.arange(different.size) % folds
    return np.where(numbers >= 0, fold[numbers], -1)


def near(mask: Mask, buffer: int, *, wraps: bool = False) -> Mask:
    """Find the cells of a mask and those with fewer than `buffer` cells between them and it.

    Diagonal steps count as one. The columns of a grid that goes round the Earth meet.

    Examples
    --------
    >>> near(np.array([[True, False, False, False]]), 1)
    array([[ True,  True, False, False]])
    >>> near(np.array([[True, False, False, False]]), 1, wraps=True)
    array([[ True,  True, False,  True]])
    """
    if buffer == 0:
        return mask
    reach = min(buffer, max(mask.shape))
    margin = min(reach, mask.shape[1])
    wide = np.pad(mask, ((0, 0), (margin, margin)), mode="wrap") if wraps else mask
    grown = maximum_filter(wide, size=2 * reach + 1, mode="constant", cval=0)
    return np.asarray(grown[:, margin:-margin] if wraps else grown)


def near_days(times: Times, chosen: Mask, gap: int) -> Mask:
    """Find the chosen times and those with fewer than `gap` whole days between them and a chosen one.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-06", dtype="datetime64[D]")
    >>> near_days(days, np.array([True, False, False, False, False]), 2)
    array([ True,  True,  True, False, False])
    """
    if not chosen.any():
        return chosen
    day = times.astype("datetime64[D]").astype(np.int64)
    picked = np.sort(day[chosen])
    after = np.searchsorted(picked, day)
    before = np.abs(day - picked[np.maximum(after - 1, 0)])
    later = np.abs(picked[np.minimum(after, picked.size - 1)] - day)
    return np.asarray(np.minimum(before, later) <= gap)


def near_places(
    longitude: npt.NDArray[np.float64],
    latitude: npt.NDArray[np.float64],
    chosen: Mask,
    distance: float,
) -> Mask:
    """Find the chosen places and those less than `distance` km from one of them.

    References
    ----------
    The haversine formula on a sphere: Sinnott (1984), Sky and Telescope 68:158.

    Examples
    --------
    >>> near_places(np.array([0.0, 1.0, 3.0]), np.zeros(3), np.array([True, False, False]), 120.0)
    array([ True,  True, False])
    """
    if distance == 0 or not chosen.any():
        return chosen
    east, north = np.radians(longitude), np.radians(latitude)
    height = np.sin((north[:, None] - north[chosen]) / 2) ** 2
    width = np.sin((east[:, None] - east[chosen]) / 2) ** 2
    chord = height + np.cos(north)[:, None] * np.cos(north[chosen]) * width
    nearest = 2 * EARTH * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0))).min(axis=1)
    return np.asarray(chosen | (nearest < distance))


def goes_round(grid: GeoBox) -> bool:
    """Tell whether the last column of a grid touches its first one on the other side of the Earth.

    Examples
    --------
    >>> from vadose.grids import latlon, named_grid
    >>> goes_round(named_grid("EASE2_36km")), goes_round(latlon(1.0, (0, 0, 10, 10)))
    (True, False)
    """
    if grid.shape.x < 3:
        return False
    longitude, _ = lonlat(grid[grid.shape.y // 2 : grid.shape.y // 2 + 1, :])
    step = float(longitude[0, 1] - longitude[0, 0])
    return abs(step * grid.shape.x - 360.0) < 1e-3 * abs(step)


def counted(number: float, noun: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> counted(1, "day"), counted(30, "day")
    ('1 day', '30 days')
    """
    return f"{number:g} {noun}" + ("" if number == 1 else "s")


def check_least(name: str, value: float, least: float) -> None:
    """Refuse a setting below its smallest value."""
    if not value >= least:
        raise ValueProblem(name, found=f"{value:g}", expected=f"{least:g} or more")


def check_fold(fold: int, folds: int) -> None:
    """Refuse the number of a fold that there is not."""
    check_least("folds", folds, 2)
    if not 0 <= fold < folds:
        raise ValueProblem("fold", found=f"{fold}", expected=f"0 to {folds - 1}")

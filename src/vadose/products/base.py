"""The record of a data source, and how its files become one dataset in our names and units.

A product is data: a frozen record with a function that reads **one** file. What all products share is
done here, once: finding files, skipping those outside the period, cropping to the region before
anything is read, joining in time, duplicates, order, attributes, and errors that name the file.
"""

from __future__ import annotations

import functools
import glob
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, GridProblem, NoOverlap, RecipeProblem, VadoseError
from vadose.grids import Region, crop, grid_of
from vadose.notebook import as_table, listed
from vadose.products.integrity import check_file, check_size
from vadose.schema import check_cube

#: First and last day, ISO 8601, both included.
Period = tuple[str, str]
#: What a caller may name: a file, a folder, a glob, or several of them.
Paths = str | Path | Sequence[str | Path]


def _period_unknown(path: Path) -> tuple[date, date] | None:
    """Find nothing in a file's name; a function with a name, as records are sent to other processes."""
    return None


@dataclass(frozen=True)
class Product:
    """Describe a data source and open its files.

    Attributes
    ----------
    name
        Key in ``PRODUCTS``.
    title
        Full name with version.
    variables
        Our name of each variable and the name (with group) in the file, for people.
    grid
        Name or description of the native grid.
    time_meaning
        What a time stamp of the files means, and what the reader makes of it.
    licence, citation
        What a user must state.
    read
        Opens one file lazily: our names, units, dims ``time, y, x``, grid coordinates; flags decoded
        into ``quality`` bits, fill values into NaN. Raises `VadoseError` or any library's error.
    pattern
        Glob of the product's file names, for folders.
    depths
        Layer of each soil variable in m, ``(from, to)``, positive downward.
    file_period
        Finds the first and last day in a file's name, so that files outside the period are never
        opened; None where the name does not tell.
    days
        Length of the interval that a time stamp stands for; a composite belongs to a period when its
        interval touches it.
    since
        The first day that the archive has in any of its versions, where that is sure; no file is earlier.
    join
        Puts the datasets of several files together; None means `join_in_time`. A product of tiles
        names its mosaic here, and tiles outside the region are then left out.
    """

    name: str
    title: str
    variables: Mapping[str, str]
    grid: str
    time_meaning: str
    licence: str
    citation: str
    read: Callable[[Path], xr.Dataset]
    pattern: str = "*"
    depths: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    file_period: Callable[[Path], tuple[date, date] | None] = _period_unknown
    days: int = 1
    since: date | None = None
    join: Callable[[Sequence[xr.Dataset], str], xr.Dataset] | None = None

    def open(
        self, paths: Paths, region: Region | None = None, period: Period | None = None
    ) -> xr.Dataset:
        """Open files lazily as one dataset.

        Parameters
        ----------
        paths
            A file, folder, glob, or several of them. A folder is searched, at any depth, for the
            product's pattern.
        region
            West, south, east, north in degrees; cells whose centre lies inside are kept.
        period
            First and last day (ISO 8601), both included.

        Returns
        -------
        xarray.Dataset
            Passes `vadose.schema.check_cube`; NaN where the file has no data. Attributes name the
            product, licence, citation, number of files, and duplicates dropped.

        Raises
        ------
        FileProblem
            Missing, empty, truncated or foreign file; the message names it.
        NoOverlap
            No file, or nothing in a file, within the region or period.
        """
        files = find_files(paths, self.pattern)
        if period is not None:
            files = self._files_within(files, period)
        parts = _on_one_grid(self._open_all(files, region))
        if self.join is None:
            cube = join_in_time(parts, source=self.name)
        else:
            cube = self.join(parts, self.name)
        if period is not None and "time" in cube.dims:
            cube = select_period(cube, period, source=self.name, days=self.days)
        for name, (top, bottom) in self.depths.items():
            if name in cube:
                cube[name].attrs.update(depth_from=top, depth_to=bottom)
        cube.attrs.update(
            product=self.name,
            title=self.title,
            licence=self.licence,
            citation=self.citation,
            number_of_files=len(files),
        )
        return check_cube(cube, source=self.name)

    def _repr_html_(self) -> str:
        rows = {
            "variables": listed(list(self.variables)),
            "grid": self.grid,
            "time": self.time_meaning,
            "files": self.pattern,
            "licence": self.licence,
            "cite": self.citation,
        }
        return as_table(self.title, rows, kind=f"product {self.name!r}")

    def _files_within(self, files: list[Path], period: Period) -> list[Path]:
        first, last = parse_period(period)
        kept = []
        for path in files:
            span = self.file_period(path)
            if span is None or (span[0] <= last and span[1] >= first):
                kept.append(path)
        if not kept:
            raise NoOverlap(
                f"period {first}..{last}",
                found=f"{len(files)} files of {self.name}, none of them within it",
                expected="files of these days",
            )
        return kept

    def _open_all(self, files: list[Path], region: Region | None) -> list[xr.Dataset]:
        if self.join is None:
            return [self._open_one(path, region) for path in files]
        parts, outside = [], None
        for path in files:
            try:
                parts.append(self._open_one(path, region))
            except NoOverlap as error:
                outside = error
        if not parts and outside is not None:
            raise outside
        return parts

    def _open_one(self, path: Path, region: Region | None) -> xr.Dataset:
        try:
            check_file(path)
            cube = self.read(path)
        except VadoseError:
            raise
        except Exception as error:  # of damaged files libraries raise anything, MemoryError too
            detail = str(error).strip().splitlines()
            raise FileProblem(
                path,
                found=f"a file that cannot be read as {self.name} "
                f"({type(error).__name__}: {detail[0] if detail else 'no detail'})",
                expected=self.title,
                remedy="Download it again, or name the product it belongs to.",
            ) from error
        check_size(path, cube)
        _check_extent(cube, path)
        if region is None:
            return cube
        rows, columns = _window(grid_of(cube), tuple(region))
        return cube.isel(y=rows, x=columns)


def _on_one_grid(parts: list[xr.Dataset]) -> list[xr.Dataset]:
    """Give parts on the same cells the same coordinates, to the bit.

    Those of a file that was cut are computed from another corner, and off by a rounding from those of a
    whole one; xarray joins by exact labels.
    """
    first = parts[0]
    steps = {axis: np.abs(np.diff(first[axis].values[:2])).sum() for axis in ("y", "x")}
    aligned = [first]
    for part in parts[1:]:
        is_alike = all(
            part.sizes[axis] == first.sizes[axis]
            and np.abs(part[axis].values - first[axis].values).max() <= 1e-6 * step
            for axis, step in steps.items()
        )
        aligned.append(part.assign_coords(y=first["y"], x=first["x"]) if is_alike else part)
    return aligned


def _check_extent(cube: xr.Dataset, path: Path) -> None:
    """Refuse cells that are nowhere: coordinates that are no numbers, or off the globe."""
    y, x = cube["y"], cube["x"]
    is_in_degrees = y.attrs.get("units") == "degrees_north"
    # no map projection reaches farther than 100,000 km, whatever its false easting
    largest = (90.0, 360.0) if is_in_degrees else (1e8, 1e8)
    is_somewhere = all(
        np.isfinite(axis.values).all() and np.abs(axis.values).max() <= most
        for axis, most in zip((y, x), largest, strict=True)
    )
    if not is_somewhere:
        raise GridProblem(
            path,
            found=f"cells from {x.values[0]:g}, {y.values[0]:g} to {x.values[-1]:g}, {y.values[-1]:g}",
            expected="places on Earth",
            remedy="Download it again.",
        )


@functools.lru_cache(maxsize=32)
def _window(grid: GeoBox, region: Region) -> tuple[slice, slice]:
    """Find a region's cells once for all files on a grid: places of a global grid take seconds."""
    return crop(grid, region)


def find_files(paths: Paths, pattern: str = "*") -> list[Path]:
    """List the files that a path, folder, glob or list of them stands for, sorted, each once.

    Raises
    ------
    FileProblem
        When one of them does not exist, is empty, or matches nothing.

    Examples
    --------
    >>> find_files("/nowhere/at/all.nc")
    Traceback (most recent call last):
    vadose.errors.FileProblem: /nowhere/at/all.nc: found no such file. Check the path.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    found: dict[Path, None] = {}
    for one in several:
        path = Path(one)
        if path.is_dir():
            hits = sorted(hit for hit in path.rglob(pattern) if hit.is_file())
            wanted = f"files named {pattern}"
        elif path.exists():
            hits, wanted = [path], ""
        elif glob.has_magic(str(one)):
            hits = sorted(Path(hit) for hit in glob.glob(str(one), recursive=True))  # noqa: PTH207
            wanted = "files that match"
        else:
            raise FileProblem(path, found="no such file", remedy="Check the path.")
        if not hits:
            raise FileProblem(path, found="nothing", expected=wanted, remedy="Check the path.")
        found.update(dict.fromkeys(hits))
    for path in found:
        if path.stat().st_size == 0:
            raise FileProblem(path, found="an empty file (0 bytes)", remedy="Download it again.")
    return list(found)


def parse_period(period: Period) -> tuple[date, date]:
    """Read a period's first and last day.

    Raises
    ------
    RecipeProblem
        When a day is not ISO 8601 or the last comes before the first.

    Examples
    --------
    >>> parse_period(("2019-01-01", "2019-12-31"))
    (datetime.date(2019, 1, 1), datetime.date(2019, 12, 31))
    """
    try:
        first, last = (date.fromisoformat(str(day)[:10]) for day in period)
    except ValueError as error:
        raise RecipeProblem(
            "period", found=f"{period!r}", expected="two days as YYYY-MM-DD"
        ) from error
    if last < first:
        raise RecipeProblem("period", found=f"{first} to {last}", expected="first day before last")
    return first, last


def select_period(cube: xr.Dataset, period: Period, *, source: str, days: int = 1) -> xr.Dataset:
    """Keep the time steps whose interval of `days` days touches a period, both ends included.

    Raises
    ------
    NoOverlap
        The message gives the days that the data covers.
    """
    first, last = parse_period(period)
    stamps = cube["time"].values.astype("datetime64[D]")
    is_inside = (stamps + np.timedelta64(days - 1, "D") >= np.datetime64(first)) & (
        stamps <= np.datetime64(last)
    )
    if not is_inside.any():
        raise NoOverlap(
            f"period {first}..{last}",
            found=f"{source} from {stamps.min()} to {stamps.max()}",
            expected="days in common",
        )
    inside = np.flatnonzero(
        is_inside
    )  # one run, as times are sorted; a slice is cut before reading
    return cube.isel(time=slice(int(inside[0]), int(inside[-1]) + 1))


def join_in_time(parts: Iterable[xr.Dataset], *, source: str) -> xr.Dataset:
    """Join datasets in time: sorted, and of steps with the same stamp the last one given.

    Datasets with different variables (one file for each) are merged on the same times. The number
    of steps dropped stands in the attribute ``duplicate_times_dropped``.

    Raises
    ------
    FileProblem
        When grids of the parts differ, or some of them lack a variable that others have.
    """
    parts = list(parts)
    is_timed = ["time" in part.dims for part in parts]
    by_variables: dict[frozenset[Hashable], list[xr.Dataset]] = {}
    for part in parts:
        by_variables.setdefault(frozenset(part.data_vars), []).append(part)
    kinds = list(by_variables)
    if all(is_timed) and sum(map(len, kinds)) > len(frozenset().union(*kinds)):
        # xarray would fill what a file lacks with NaN, or drop a variable with its doubled time stamp
        only = frozenset().union(*kinds) - frozenset.intersection(*kinds)
        raise FileProblem(
            source,
            found=f"files with and files without {', '.join(sorted(map(str, only)))}",
            expected="the same variables in all files",
            remedy="Open them apart.",
        )
    try:
        cubes = [_in_order(group) for group in by_variables.values()] if all(is_timed) else parts
        if len(cubes) == 1:
            return cubes[0]
        cube = xr.merge(cubes, join="exact", compat="no_conflicts", combine_attrs="override")
    except (ValueError, xr.MergeError) as error:
        raise FileProblem(
            source,
            found=f"files that do not fit together ({str(error).splitlines()[0]})",
            expected="one grid and the same times for all variables",
        ) from error
    if all(is_timed):
        cube.attrs["duplicate_times_dropped"] = max(
            part.attrs["duplicate_times_dropped"] for part in cubes
        )
    return cube


def _in_order(parts: list[xr.Dataset]) -> xr.Dataset:
    """Join files of the same variables in time, sorted, of equal stamps the last."""
    cube = parts[0]
    if len(parts) > 1:
        cube = xr.concat(
            parts,
            dim="time",
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="override",
        )
    times = cube["time"].values
    last_of = {stamp: place for place, stamp in enumerate(times)}
    order = [last_of[stamp] for stamp in sorted(last_of)]
    if order != list(range(times.size)):
        cube = cube.isel(time=order)
    cube.attrs["duplicate_times_dropped"] = int(times.size - len(order))
    return cube

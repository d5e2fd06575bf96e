"""Stations in plain tables: CSV or Excel, one file a station or one column a station.

What the columns mean is not guessed: a `StationTable` says it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.errors import FileProblem, MissingExtra, UnitProblem
from vadose.grids import Region
from vadose.products.archive import open_archive
from vadose.products.base import Paths, Period, find_files
from vadose.products.stations_join import Sensor, join_sensors

#: Soil moisture in m³ m⁻³ of one unit.
UNITS = {"m3 m-3": 1.0, "%": 0.01, "1": 1.0}
MISSING = -9999.0


@dataclass(frozen=True)
class StationTable:
    """Say what the columns of a table mean.

    Attributes
    ----------
    depth_from, depth_to
        Layer that the values stand for, m; equal for a probe at one depth.
    value
        Column of soil moisture; None when every column but the time is a station of its own.
    time
        Column of the time.
    units
        ``m3 m-3``, ``1`` or ``%``.
    date_format
        As `datetime.strptime` has it; None for ISO 8601 alone, as 01/02 may be two days.
    utc_offset
        Hours that the table's clock is ahead of UTC.
    station
        Column of the station's name; None takes it from the file's name.
    file_name
        Regular expression whose first group is the station in a file's name without its ending.
    latitude, longitude
        Columns of the coordinates, in the table or in `coordinates`.
    coordinates
        File with the coordinates, if they are not in the table.
    coordinates_station
        Its column of the station's name.
    flag, good
        Column of a quality flag and its values to keep.
    network
        Name of the network.
    missing
        Number that means no value.
    pattern
        Glob of the files in a folder.
    """

    depth_from: float
    depth_to: float
    value: str | None = None
    time: str = "time"
    units: str = "m3 m-3"
    date_format: str | None = None
    utc_offset: float = 0.0
    station: str | None = None
    file_name: str = "(.+)"
    latitude: str = "lat"
    longitude: str = "lon"
    coordinates: Path | None = None
    coordinates_station: str = "station"
    flag: str | None = None
    good: tuple[str, ...] = ()
    network: str = ""
    missing: float = MISSING
    pattern: str = "*.csv"


def read_table(
    paths: Paths,
    table: StationTable,
    region: Region | None = None,
    period: Period | None = None,
) -> xr.Dataset:
    r"""Read stations from tables.

    Parameters
    ----------
    paths
        CSV or Excel file, folder, glob, or several of them.
    table
        What the columns mean.
    region
        West, south, east, north in degrees.
    period
        First and last day, both included.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture (sensor, time)`` and ``flag_count (sensor, flag)``.

    Raises
    ------
    FileProblem
        A column is missing or holds what it should not; a station has no or two places.
    UnitProblem, NoOverlap, ValueProblem

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("time,lat,lon,sm\n2019-07-01,48,11,23.5\n")
    ...     stations = read_table(folder, StationTable(0.05, 0.05, value="sm", units="%"))
    >>> stations["soil_moisture"].values
    array([[0.235]], dtype=float32)
    """
    if table.units not in UNITS:
        raise UnitProblem(
            "soil moisture of the table",
            found=f"unit {table.units!r}",
            expected=f"one of {', '.join(UNITS)}",
            remedy="Water in mm must be divided by the thickness of its layer.",
        )
    places = _places(table)
    sensors = (
        sensor
        for path in find_files(paths, table.pattern)
        for sensor in _sensors(path, table, places)
    )
    return join_sensors(sensors, source=table.network or "stations", region=region, period=period)


def _load(path: Path) -> pd.DataFrame:
    """Read a table as text, so that nothing is converted that the mapping does not name."""
    if path.suffix.lower() in {".xlsx", ".xlsm"}:
        return _load_workbook(path)
    try:
        return pd.read_csv(path, dtype=str, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _load_workbook(path: Path) -> pd.DataFrame:
    with open_archive(path):  # a workbook is a zip archive, and may be a bomb
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library remarks on styles, which we do not use
            return pd.read_excel(path, dtype=str)
    except ImportError as error:
        raise MissingExtra("openpyxl", extra="products") from error
    except Exception as error:  # KeyError, SyntaxError, BadZipFile, zlib.error: no common base
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> FileProblem:
    detail = str(error).strip().splitlines() or [type(error).__name__]
    return FileProblem(
        path, found=f"no readable table ({detail[0]})", expected="CSV in UTF-8, or Excel"
    )


def _column(path: Path, frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name not in frame:
        raise FileProblem(
            path,
            found=f"columns {', '.join(map(str, frame.columns))}",
            expected=f"a column {name!r}",
            remedy="Name the columns in StationTable.",
        )
    return frame[name]


def _numbers(path: Path, texts: pd.Series[Any]) -> npt.NDArray[np.float64]:
    numbers = pd.to_numeric(texts, errors="coerce")
    is_wrong = numbers.isna() & texts.notna()
    if is_wrong.any():
        raise FileProblem(
            path,
            found=f"{texts[is_wrong].iloc[0]!r} in column {texts.name!r}, row {is_wrong.argmax() + 2}",
            expected="a number",
        )
    return numbers.to_numpy(dtype="f8")


def _times(path: Path, texts: pd.Series[Any], table: StationTable) -> npt.NDArray[np.datetime64]:
    try:
        stamps = pd.to_datetime(texts, format=table.date_format or "ISO8601", utc=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise FileProblem(
            path,
            found=f"a time that cannot be read ({str(error).splitlines()[0]})",
            expected=table.date_format or "ISO 8601",
            remedy="Give date_format.",
        ) from error
    if stamps.isna().any():
        raise FileProblem(path, found=f"no time in row {stamps.isna().argmax() + 2}")
    times: npt.NDArray[np.datetime64] = stamps.dt.tz_localize(None).to_numpy("datetime64[ns]")
    return times - np.timedelta64(round(table.utc_offset * 3600), "s")


def _places(table: StationTable) -> dict[str, tuple[float, float]] | None:
    """Read the coordinates file: station → latitude, longitude."""
    if table.coordinates is None:
        return None
    path = find_files(table.coordinates)[0]
    frame = _load(path)
    names = _column(path, frame, table.coordinates_station).astype(str)
    latitude, longitude = (
        _numbers(path, _column(path, frame, name)) for name in (table.latitude, table.longitude)
    )
    return dict(zip(names, zip(latitude.tolist(), longitude.tolist(), strict=True), strict=True))


def _sensors(
    path: Path, table: StationTable, places: dict[str, tuple[float, float]] | None
) -> Iterator[Sensor]:
    frame = _load(path)
    if table.value is None:
        _column(path, frame, table.time)
        for name in frame.columns.drop(table.time):
            yield _sensor(path, frame, str(name), str(name), table, places)
    elif table.station is not None:
        groups = frame.groupby(_column(path, frame, table.station).astype(str), sort=False)
        for name, group in groups:
            yield _sensor(path, group, str(name), table.value, table, places)
    else:
        hit = re.fullmatch(table.file_name, path.stem)
        if hit is None:
            raise FileProblem(
                path, found="a name without a station", expected=f"the pattern {table.file_name!r}"
            )
        yield _sensor(path, frame, hit[1], table.value, table, places)


def _sensor(
    path: Path,
    frame: pd.DataFrame,
    name: str,
    column: str,
    table: StationTable,
    places: dict[str, tuple[float, float]] | None,
) -> Sensor:
    values = _numbers(path, _column(path, frame, column))
    is_missing = np.isnan(values) | (values == table.missing)
    counts = {"missing": int(is_missing.sum())}
    is_good = ~is_missing
    if table.flag is not None:
        flags = _column(path, frame, table.flag).fillna("unflagged").astype(str)
        counts |= {str(flag): int(number) for flag, number in flags[is_good].value_counts().items()}
        is_good &= flags.isin(table.good).to_numpy()
    else:
        counts["unflagged"] = int(is_good.sum())
    latitude, longitude = _place(path, frame, name, table, places)
    return Sensor(
        table.network,
        name,
        "",
        latitude,
        longitude,
        table.depth_from,
        table.depth_to,
        _times(path, _column(path, frame, table.time), table),
        np.where(is_good, values * UNITS[table.units], np.nan),
        counts,
    )


def _place(
    path: Path,
    frame: pd.DataFrame,
    name: str,
    table: StationTable,
    places: dict[str, tuple[float, float]] | None,
) -> tuple[float, float]:
    if places is not None:
        found = {places[name]} if name in places else set()
    else:
        columns = [
            _numbers(path, _column(path, frame, column)).tolist()
            for column in (table.latitude, table.longitude)
        ]
        found = set(zip(*columns, strict=True))
    latitude, longitude = next(iter(found), (np.nan, np.nan))
    if len(found) != 1 or not (-90 <= latitude <= 90 and -180 <= longitude <= 360):
        raise FileProblem(
            path,
            found=f"places {sorted(found)[:3]} for station {name!r}",
            expected="one latitude and longitude in degrees",
            remedy="Name the columns, or the file of coordinates, in StationTable.",
        )
    return latitude, longitude - 360 if longitude > 180 else longitude

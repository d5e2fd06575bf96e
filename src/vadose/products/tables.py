"""Tables of points as files: CSV, plain or packed with gzip, and flat variables of netCDF and HDF5.

A CSV file is a `RawFile` too, whose variables are its columns, so that what decodes a variable of a
netCDF file (fill values, packing, units) decodes a column as well.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import warnings
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from vadose.errors import FileProblem
from vadose.products.decode import number_in, numbers_in
from vadose.products.description import Layer
from vadose.products.formats import open_raw
from vadose.products.raw import LazyArray, Places, RawFile, Stored, Values
from vadose.products.reading import decode_stored, weighted_sum
from vadose.products.stamps import decode_times

#: Bytes that a packed table may unpack to, and bytes for one packed: tables reach 50, bombs 1,000.
MAXIMUM_BYTES, MAXIMUM_RATIO = 4 * 2**30, 500
#: Bytes that a packed table may unpack to whatever its ratio, and that its header may have.
HARMLESS, MAXIMUM_HEADER = 2**24, 2**20


class ColumnArray(LazyArray):
    """Hold a column that has been read."""

    def __init__(self, values: Values) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.blocks = values.shape

    def take(self, places: Places) -> Values:
        """Pick rows."""
        return np.asarray(self.values[places[0]])


class TableFile(RawFile):
    """Read columns of a CSV file with a header.

    Parameters
    ----------
    path
        The file; packed with gzip if it begins so, whatever its name.
    numbers, texts
        The columns to read, as numbers (empty fields are NaN) and as text; those that the file lacks
        are left out.
    separator
        Between fields.

    Raises
    ------
    FileProblem
        No readable table, a column that is there twice, or text in a column of numbers.
    """

    def __init__(
        self,
        path: Path,
        *,
        numbers: Collection[str],
        texts: Collection[str] = (),
        separator: str = ",",
    ) -> None:
        super().__init__(path)
        self.separator = separator
        self.is_packed = _begins_with(path, b"\x1f\x8b")
        if self.is_packed:
            check_gzip(path)
        self.header = self._read_header()
        places = {name: self._place_of(name) for name in {*numbers, *texts} & {*self.header}}
        kinds = {place: str if name in texts else np.float64 for name, place in places.items()}
        self._frame = self._read_rows(kinds)
        self._places = places

    @property
    def names(self) -> list[str]:
        """List the columns."""
        return [name for name in self.header if name]

    @property
    def size(self) -> int:
        """Count the rows."""
        return len(self._frame)

    def variable(self, name: str) -> Stored:
        """Give one of the columns that were asked for."""
        return Stored(("row",), ColumnArray(self._frame[self._places[name]].to_numpy()))

    def _read_header(self) -> list[str]:
        opened: Any = gzip.open if self.is_packed else open
        try:
            with opened(self.path, "rt", encoding="utf-8-sig", newline="") as stream:
                line = stream.readline(MAXIMUM_HEADER)
            return [
                name.strip() for name in next(csv.reader([line], delimiter=self.separator), [""])
            ]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise self._unreadable(error) from error

    def _place_of(self, name: str) -> int:
        if self.header.count(name) > 1:
            raise FileProblem(
                self.path, found=f"column {name!r} twice", expected="each column once"
            )
        return self.header.index(name)

    def _read_rows(self, kinds: Mapping[int, type[Any]]) -> pd.DataFrame:
        try:
            return self._parse(kinds)
        except (OSError, ValueError, OverflowError, pd.errors.ParserWarning) as error:
            self._find_text(kinds)
            raise self._unreadable(error) from error

    def _parse(self, kinds: Any) -> pd.DataFrame:
        """Read all columns: with some of them pandas takes rows of too many fields without a word."""
        if not any(self.header):
            return pd.DataFrame()
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                self.path,
                sep=self.separator,
                header=0,
                names=list(range(len(self.header))),
                index_col=False,
                dtype=kinds,
                encoding="utf-8-sig",
                compression="gzip" if self.is_packed else None,
                skipinitialspace=True,
                skip_blank_lines=False,  # the number of a row is then that of its line
                low_memory=False,
            )
        return frame if kinds is str else frame[list(kinds)]

    def _find_text(self, kinds: Mapping[int, type[Any]]) -> None:
        """Name the row and column that a number was expected in, if that is what was wrong."""
        try:
            frame = self._parse(str)
        except (OSError, ValueError, pd.errors.ParserWarning):
            return
        for place in (place for place, kind in kinds.items() if kind is not str):
            texts = frame[place]
            is_wrong = pd.to_numeric(texts, errors="coerce").isna() & texts.notna()
            if is_wrong.any():
                raise FileProblem(
                    self.path,
                    found=f"{texts[is_wrong].iloc[0]!r} in column {self.header[place]!r}, "
                    f"row {is_wrong.to_numpy().argmax() + 2}",
                    expected="a number",
                )

    def _unreadable(self, error: BaseException) -> FileProblem:
        detail = str(error).strip().splitlines() or [type(error).__name__]
        return FileProblem(
            self.path,
            found=f"no readable table ({detail[0]})",
            expected="CSV in UTF-8 with a header",
            remedy="State the separator in the description, or download it again.",
        )


def check_gzip(
    path: Path, *, maximum_bytes: int = MAXIMUM_BYTES, maximum_ratio: float = MAXIMUM_RATIO
) -> None:
    """Refuse a packed file that breaks off, is damaged or unpacks to far more than a table would.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "points.csv.gz")
    ...     _ = path.write_bytes(gzip.compress(b"lon,lat,sm" * 99)[:-8])
    ...     try:
    ...         check_gzip(path)
    ...     except FileProblem as problem:
    ...         problem.found
    'a packed file that breaks off'
    """
    packed, unpacked = path.stat().st_size, 0
    limit = min(maximum_bytes, max(HARMLESS, maximum_ratio * packed))
    try:
        with gzip.open(path) as stream:
            while block := stream.read(2**20):
                unpacked += len(block)
                if unpacked > limit:
                    break
    except (OSError, EOFError, zlib.error) as error:
        is_short = isinstance(error, EOFError)
        raise FileProblem(
            path,
            found="a packed file that breaks off" if is_short else f"a damaged file ({error})",
            expected="a complete gzip file",
            remedy="Download it again.",
        ) from error
    if unpacked > limit:
        raise FileProblem(
            path,
            found=f"{packed:,} bytes that unpack to more than {limit:,.0f}",
            expected="a table",
            remedy="Unpack it yourself if you trust it.",
        )


def _begins_with(path: Path, signature: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(signature)) == signature


@contextlib.contextmanager
def open_table(
    path: Path, *, numbers: Collection[str], texts: Collection[str] = (), separator: str = ","
) -> Iterator[RawFile]:
    r"""Open a table of points, CSV or netCDF, by what its first bytes say it is.

    Parameters
    ----------
    path
        The file.
    numbers, texts, separator
        As for `TableFile`; columns of netCDF are read when asked for.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "points.csv")
    ...     _ = path.write_text("lon,lat,sm\n11.5,48.5,0.25\n")
    ...     with open_table(path, numbers=["sm"]) as table:
    ...         table.names, table.variable("sm").values
    (['lon', 'lat', 'sm'], array([0.25]))
    """
    if _begins_with(path, b"\x89HDF\r\n\x1a\n") or _begins_with(path, b"CDF"):
        with open_raw(path) as raw:
            yield raw
    else:
        yield TableFile(path, numbers=numbers, texts=texts, separator=separator)


def has_no_rows(table: RawFile) -> bool:
    """Tell whether a table is there but empty; one written without rows may have lost its columns."""
    if isinstance(table, TableFile):
        return table.size == 0
    shapes = [table.variable(name).array.shape for name in table.names]
    return any(shapes) and all(0 in shape for shape in shapes if shape)


def alternatives(source: str | int | tuple[str, ...] | Mapping[str, float]) -> tuple[str, ...]:
    """List the columns that a source names.

    Examples
    --------
    >>> alternatives("sm"), alternatives({"upper": 0.3, "lower": 0.7})
    (('sm',), ('upper', 'lower'))
    """
    return (str(source),) if isinstance(source, str | int) else tuple(source)


def decode_coordinate(stored: Stored, path: Path) -> npt.NDArray[np.float64]:
    """Decode a column of degrees in full precision; NaN where the file says there is none.

    Raises
    ------
    FileProblem
    """
    where = f"{path}: coordinate"
    values = _column(stored, where).values
    scale, offset = (
        number_in(stored.attrs, key, default, source=where)
        for key, default in (("scale_factor", 1.0), ("add_offset", 0.0))
    )
    fills = [
        number
        for key in ("_FillValue", "missing_value")
        for number in numbers_in(stored.attrs, key, source=where)
    ]
    decoded = values.astype(np.float64)
    is_gap = np.isin(decoded, np.float64(np.array(fills)))
    return np.where(is_gap, np.nan, decoded * scale + offset)


def decode_layer(name: str, layer: Layer, table: RawFile) -> Values:
    """Read the column, or the weighted sum of columns, of a variable: float32, our unit, gaps as NaN.

    Raises
    ------
    FileProblem, UnitProblem
    """
    weights = layer.source if isinstance(layer.source, Mapping) else None
    names = alternatives(layer.source)
    parts = [table.need(one) for one in names] if weights else [table.need(*names)]
    where = f"{table.path}: {name} (as {layer.source!r})"
    decoded = [
        decode_stored(name, layer, _column(stored, where), source=where)[()] for stored in parts
    ]
    if weights is None:
        return decoded[0]
    return weighted_sum(tuple(weights.values()), *decoded).astype(np.float32)


def decode_stamps(
    stored: Stored, rows: npt.NDArray[np.intp], path: Path, form: str
) -> npt.NDArray[np.datetime64]:
    """Read the stamps of some rows as UTC: CF times of netCDF, texts of a CSV file.

    Parameters
    ----------
    stored
        The column.
    rows
        Numbers of the rows.
    path
        File, for messages.
    form
        Format of the texts, empty for ISO 8601.

    Raises
    ------
    FileProblem
    """
    where = f"{path}: time"
    values = stored.values[rows]
    if stored.array.dtype.kind in "iuf":
        return decode_times(values, stored.attrs, source=str(path))
    try:
        stamps = pd.to_datetime(pd.Series(values), format=form or "ISO8601", utc=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise FileProblem(
            where,
            found=f"a time that cannot be read ({str(error).splitlines()[0]})",
            expected=form or "ISO 8601",
            remedy="State time_format in the description.",
        ) from error
    is_missing = stamps.isna().to_numpy()
    if is_missing.any():
        row = rows[is_missing.argmax()] + 2
        raise FileProblem(where, found=f"none in row {row}", expected="one for every row")
    return np.asarray(stamps.dt.tz_localize(None).to_numpy("datetime64[ns]"))


def _column(stored: Stored, where: str) -> Stored:
    """Refuse what is no column of numbers."""
    if len(stored.dims) != 1 or stored.array.dtype.kind not in "iuf":
        raise FileProblem(
            where,
            found=f"type {stored.array.dtype}, shape {stored.array.shape}",
            expected="one number for each point",
        )
    return stored

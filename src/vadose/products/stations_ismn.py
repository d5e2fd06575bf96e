"""The International Soil Moisture Network: archives or folders, CEOP-sep or header + values.

The ``ismn`` library parses the files; what surrounds them is done here. Its own collection would write
a cache (``python_metadata``) beside the data and start a pool of processes; here each file goes through
a temporary folder of its own, after the archive has been checked.

References
----------
Dorigo et al. (2013), Vadose Zone J. 12(3) (flags); (2021), Hydrol. Earth Syst. Sci. 25:5749.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.errors import FileProblem, MissingExtra
from vadose.grids import Region
from vadose.products.archive import open_archive, read_member
from vadose.products.base import Paths, Period, find_files
from vadose.products.stations_join import Sensor, join_sensors

CITATION = "Dorigo et al. (2021), HESS 25:5749. https://doi.org/10.5194/hess-25-5749-2021"
LICENCE = "ISMN terms: non-commercial, no onward distribution, cite ISMN and every network."
#: Good. Others are U (not checked), M (missing), C01-C03 (impossible), D01-D10 (dubious).
GOOD = ("G",)


def read_ismn(
    paths: Paths,
    region: Region | None = None,
    period: Period | None = None,
    *,
    keep: Collection[str] = GOOD,
) -> xr.Dataset:
    """Read the soil moisture of ISMN downloads.

    Parameters
    ----------
    paths
        Zip archive, folder of unpacked files or of archives, ``.stm`` file, or several of them.
    region
        West, south, east, north in degrees.
    period
        First and last day, both included.
    keep
        Flags of values to keep. A value with several flags (``D01,D03``) is kept if all are named.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture (sensor, time)`` and ``flag_count (sensor, flag)``, which counts all values of
        the files, by each of their flags. Files carry the depth rounded to cm in their header and
        exactly in their name; the name counts.

    Raises
    ------
    FileProblem, MissingExtra, NoOverlap, ValueProblem
    """
    stations = join_sensors(
        _sensors(paths, frozenset(keep)), source="ISMN", region=region, period=period
    )
    return stations.assign_attrs(
        product="ISMN",
        title="International Soil Moisture Network",
        licence=LICENCE,
        citation=CITATION,
        flags_kept=" ".join(keep),
    )


def _sensors(paths: Paths, keep: frozenset[str]) -> Iterator[Sensor]:
    found = 0
    with tempfile.TemporaryDirectory(prefix="vadose-ismn-") as folder:
        for path in find_files(paths, "*.[sz][ti][mp]"):  # .stm, .zip
            if path.suffix.lower() != ".zip":
                if "_sm_" in path.name:
                    found += 1
                    yield _read_file(path, str(path), keep)
                continue
            with open_archive(path) as archive:
                for name in archive.namelist():
                    base = PurePosixPath(name.replace("\\", "/")).name
                    if base.endswith(".stm") and "_sm_" in base:
                        found += 1
                        copy = Path(folder, base)
                        copy.write_bytes(read_member(path, archive, name))
                        yield _read_file(copy, f"{path}: {name}", keep)
                        copy.unlink()
    if not found:
        raise FileProblem(
            str(paths),
            found="no soil moisture file",
            expected="files named NETWORK_NETWORK_STATION_sm_<from>_<to>_<sensor>_<first>_<last>.stm",
            remedy="Download them as CEOP in separate files, or header + values.",
        )


def _read_file(path: Path, source: str, keep: frozenset[str]) -> Sensor:
    """Read one sensor's file; `source` is what the user knows it by."""
    handlers, base = _library("ismn.filehandlers"), _library("ismn.base")
    parts = path.stem.split("_")
    try:
        network, station, depth_from, depth_to = (
            parts[1],
            parts[2],
            float(parts[4]),
            float(parts[5]),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library is behind pandas, and says so each file
            file = handlers.DataFile(base.IsmnRoot(path.parent), path.name, temp_root=path.parent)
            table = file.read_data()
        place = [float(file.metadata[name].val) for name in ("latitude", "longitude")]
        times = table.index.to_numpy().astype("datetime64[ns]")
        values = table["soil_moisture"].to_numpy(dtype="f8")
        flags = table["soil_moisture_flag"]
    except (
        Exception
    ) as error:  # the library raises many kinds, IndexError for a cut file among them
        detail = str(error).strip().splitlines() or ["no detail"]
        raise FileProblem(
            source,
            found=f"a file that cannot be read as ISMN ({type(error).__name__}: {detail[-1]})",
            expected="CEOP in separate files, or header + values",
            remedy="Download it again.",
        ) from error
    is_place = -90 <= place[0] <= 90 and -180 <= place[1] <= 180
    if not is_place or not 0 <= depth_from <= depth_to <= 100 or np.isnat(times).any():
        raise FileProblem(
            source,
            found=f"latitude {place[0]}, longitude {place[1]}, depth {depth_from} to {depth_to} m, "
            f"{np.isnat(times).sum()} bad dates",
            expected="a place on Earth, metres and dates",
        )
    values, counts = screen(values, flags, keep)
    instrument = "_".join(parts[6:-2])
    return Sensor(
        network,
        station,
        instrument,
        place[0],
        place[1],
        depth_from,
        depth_to,
        times,
        values,
        counts,
    )


def screen(
    values: npt.NDArray[np.float64], flags: pd.Series[Any], keep: frozenset[str]
) -> tuple[npt.NDArray[np.float64], dict[str, int]]:
    """Drop values whose flags are not all kept, and count the values of each flag.

    Examples
    --------
    >>> flags = pd.Series(["G", "D01,D03", "G,D01", None])
    >>> screen(np.array([0.1, 0.2, 0.3, 0.4]), flags, frozenset({"G"}))
    (array([0.1, nan, nan, nan]), {'D01': 2, 'D03': 1, 'G': 2, 'unflagged': 1})
    """
    texts = flags.astype("object").where(flags.notna(), "unflagged").astype(str)
    counts: Counter[str] = Counter()
    good = set()
    for text, number in texts.value_counts().items():
        codes = [code.strip() for code in str(text).split(",")]
        counts.update(dict.fromkeys(codes, int(number)))
        if set(codes) <= keep:
            good.add(text)
    is_missing = values < -1  # -9999 and its kin, whatever their flag
    if is_missing.any():
        counts["missing"] += int(is_missing.sum())
    is_good = texts.isin(good).to_numpy() & ~is_missing
    return np.where(is_good, values, np.nan), dict(sorted(counts.items()))


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra("ismn", extra="products") from error

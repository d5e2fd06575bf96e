"""Files that the Climate Data Store packs together: unpacked, and their fields put into one netCDF.

For several variables its daily statistics send an archive (zip) with a netCDF for each, whatever format was
asked for; readers here want what belongs together in one file.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import xarray as xr

from vadose.products.fetching.base import LARGEST, FetchProblem

#: Most files of an archive.
MOST = 50


def unbundle(part: Path, name: str) -> None:
    """Put a netCDF in the place of an archive of several; what is no archive stays.

    Parameters
    ----------
    part
        Working name of what came.
    name
        Of the file, for messages.

    Raises
    ------
    FetchProblem
        It holds something else, or fields that do not belong together.
    """
    if not zipfile.is_zipfile(part):
        return
    try:
        with zipfile.ZipFile(part) as bundle, tempfile.TemporaryDirectory(dir=part.parent) as kept:
            folder = Path(kept)
            paths = _unpacked(bundle, folder, name)
            whole = folder / "whole.nc"
            if len(paths) == 1:
                whole = paths[0]
            else:
                _join(paths, whole)
            whole.replace(part)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise FetchProblem(
            name,
            found=f"an archive whose files do not fit together ({str(error).splitlines()[0][:200]})"
            if str(error)
            else f"a damaged archive ({type(error).__name__})",
            expected="netCDF of one grid and the same times",
            remedy="Run the same command again; it is asked for anew.",
        ) from error


def _unpacked(bundle: zipfile.ZipFile, folder: Path, name: str) -> list[Path]:
    """Unpack under names of ours: those of an archive may lead anywhere."""
    members = [one for one in bundle.infolist() if not one.is_dir()]
    is_netcdf = bool(members) and all(one.filename.endswith(".nc") for one in members)
    if not is_netcdf or len(members) > MOST or sum(one.file_size for one in members) > LARGEST:
        shown = ", ".join(repr(one.filename[:60]) for one in members[:5]) or "nothing"
        raise FetchProblem(
            name, found=f"an archive that holds {shown}", expected="one netCDF or several"
        )
    paths = []
    for count, member in enumerate(members):
        path = folder / f"{count}.nc"
        with bundle.open(member) as source, path.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
        paths.append(path)
    return paths


def _join(paths: list[Path], whole: Path) -> None:
    """Join variables as they are stored: neither unpacked nor decoded."""
    opened = [xr.open_dataset(path, decode_cf=False, engine="h5netcdf") for path in paths]
    try:
        first = opened[0]
        for other in opened[1:]:
            for axis in set(first.sizes) & set(other.sizes) & set(first.variables):
                units = [one[axis].attrs.get("units") for one in (first, other)]
                if units[0] != units[1]:
                    raise ValueError(f"{axis} in {units[0]} and in {units[1]}")
        fields = [one[list(one.data_vars)] for one in opened]
        joined = xr.merge(fields, join="exact", compat="override", combine_attrs="override")
        joined.to_netcdf(whole, engine="h5netcdf")
    finally:
        for one in opened:
            one.close()

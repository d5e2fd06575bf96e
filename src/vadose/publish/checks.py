"""Read an export again with the validators of those who made the formats, and compare its forms."""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

from vadose.errors import FileProblem, VadoseError, need
from vadose.grids import grid_of
from vadose.publish.cog import DAYS, path_of, stamp_of
from vadose.publish.netcdf import by_month
from vadose.publish.papers import CHECKSUMS, CITATION, files_of
from vadose.publish.stac import COLLECTION
from vadose.publish.stac_checks import check_stac
from vadose.schema import variable
from vadose.store import open_windows

Step = Callable[..., None]
#: What is told of faults: as many, then a count.
TOLD = 3
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DOI = re.compile(r"10\.\d{4,}(?:\.\d+)*/\S+")
_LETTER = re.compile(r": \w is a required attribute for grid mapping")


@dataclass(frozen=True)
class Verdict:
    """Say what a validator found.

    Attributes
    ----------
    what
        What was looked at.
    by
        The validator.
    passed
        Whether nothing is wrong.
    detail
        How many files were looked at, or what is wrong.
    """

    what: str
    by: str
    passed: bool
    detail: str


def check_export(folder: Path, step: Step = lambda *_: None) -> list[Verdict]:
    """Run every validator on an exported folder.

    Parameters
    ----------
    folder
        An export; nothing in it is changed, and nothing is fetched.
    step
        Told checks done, and in all.

    Returns
    -------
    list of Verdict
        One for each validator.

    Raises
    ------
    FileProblem
        When the folder is no export.
    MissingExtra
        When a validator is not installed.
    """
    if not (folder / COLLECTION).is_file() or not (folder / CHECKSUMS).is_file():
        raise FileProblem(
            folder,
            found="no export",
            expected=f"a folder with {COLLECTION} and {CHECKSUMS}",
            remedy="Make one with: vadose export RUN",
        )
    need("compliance-checker", extra="publish", module="compliance_checker")
    need("rio-cogeo", extra="publish", module="rio_cogeo")
    need("jsonschema", extra="publish")
    checks: list[tuple[str, str, Callable[[Path], tuple[list[str], str]]]] = [
        ("checksums", "sha256", _checksums),
        ("netCDF, CF 1.11", "compliance-checker", _cf),
        ("netCDF, ACDD 1.3", "compliance-checker", _acdd),
        ("Zarr", "xarray, vadose", _zarr),
        ("Zarr, for GDAL", "GDAL", _gdal_zarr),
        ("GeoTIFF", "rio-cogeo", _cogs),
        ("STAC", "pystac, vadose", check_stac),
        ("values of all forms", "xarray, GDAL", _same),
        ("CITATION.cff", "vadose", _citation),
    ]
    verdicts = []
    for count, (what, by, check) in enumerate(checks):
        try:
            faults, detail = check(folder)
        except VadoseError as error:
            faults, detail = [str(error)], ""
        verdicts.append(Verdict(what, by, not faults, _told(faults) if faults else detail))
        step(count + 1, len(checks))
    return verdicts


def _told(faults: list[str]) -> str:
    rest = len(faults) - TOLD
    return "; ".join(faults[:TOLD]) + (f"; and {rest} more" if rest > 0 else "")


def _checksums(folder: Path) -> tuple[list[str], str]:
    lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    known = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    found = set(files_of(folder))
    # GDAL, and QGIS with it, leaves statistics beside what it has shown; they are nobody's fault
    aside = {name for name in found - set(known) if name.endswith(".aux.xml")}
    there = found - aside
    faults = [f"{name} is missing" for name in sorted(set(known) - there)]
    faults += [f"{name} has no checksum" for name in sorted(there - set(known))]
    for name in sorted(there & set(known)):
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known[name]:
                faults.append(f"{name} was changed")
    without = f"; {len(aside)} side files of GDAL (.aux.xml) passed over" if aside else ""
    return faults, f"{len(known)} files{without}"


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.nc"))
    if not found:
        raise FileProblem(folder, found="no netCDF file", expected="one for each month")
    return found


def _cf(folder: Path) -> tuple[list[str], str]:
    faults = [fault for path in _files(folder) for fault in _compliance(path, "cf:1.11")]
    # compliance-checker 6.1 asks EASE-Grid for attributes called l, o, n ...: the letters of one that is there
    spelt = [fault for fault in faults if _LETTER.search(fault)]
    without = f"; {len(spelt)} false findings on EASE-Grid passed over" if spelt else ""
    if spelt and not _has_meridian(_files(folder)[0]):
        faults.append(f"{_files(folder)[0].name}: no longitude_of_central_meridian")
    return [one for one in faults if one not in spelt], f"{len(_files(folder))} files{without}"


def _has_meridian(path: Path) -> bool:
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as opened:
        return "longitude_of_central_meridian" in opened["spatial_ref"].attrs


def _acdd(folder: Path) -> tuple[list[str], str]:
    faults, nameless = [], set()
    for path in _files(folder):
        for fault in _compliance(path, "acdd:1.3"):
            name = re.search(
                r'variable "(\w+)" missing the following attributes: standard_name$', fault
            )
            # CF gives some quantities no name, and an invented one is a fault; ACDD's checker asks anyway
            if name and not variable(name[1]).standard_name:
                nameless.add(name[1])
            elif not (
                ("time_coverage" in fault and not _has_time(path))
                or ("geospatial_vertical" in fault and _spans_layers(path))
            ):
                faults.append(fault)
    without = f"; CF has no standard name for {', '.join(sorted(nameless))}" if nameless else ""
    return faults, f"{len(_files(folder))} files{without}"


def _has_time(path: Path) -> bool:
    """Tell whether a file has days; a static map covers no time that could be told."""
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as opened:
        return "time" in opened.dims


def _spans_layers(path: Path) -> bool:
    """Tell whether a file of several layers gives the depths of all; ACDD's checker looks at one."""
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as opened:
        variables = opened.variables.values()
        depths = [float(one) for one in variables if one.attrs.get("standard_name") == "depth"]
        ends = [opened.attrs.get(f"geospatial_vertical_{end}") for end in ("min", "max")]
    return len(depths) > 1 and ends == [min(depths), max(depths)]


def _compliance(path: Path, suite: str) -> list[str]:
    """List what compliance-checker finds of high or medium weight, as its ``--criteria normal``."""
    from compliance_checker.runner import CheckSuite

    # it says which table of names it uses, and warns of what it will itself do otherwise one day
    with redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        CheckSuite.load_all_available_checkers()
        checker = CheckSuite()
        dataset = checker.load_dataset(str(path))
        try:
            groups, errors = checker.run_all(dataset, [suite])[suite]
        finally:
            dataset.close()
    faults = [f"{path.name}: {name}: {error[0]}" for name, error in errors.items()]

    def walk(result: Any, within: str) -> None:
        got, out_of = result.value if isinstance(result.value, tuple) else (bool(result.value), 1)
        name = str(result.name or within)
        if result.weight < 2 or got >= out_of:
            return
        if result.children:
            for child in result.children:
                walk(child, name)
        else:
            texts = result.msgs or ["does not pass"]
            faults.extend(f"{path.name}: {name.removesuffix(':')}: {text}" for text in texts)

    for group in groups:
        walk(group, suite)
    return faults


def _stores(folder: Path) -> list[Path]:
    """List the stores of version 3; each has one of version 2 beside it."""
    stores = sorted(folder.glob("*.zarr"))
    return [path for path in stores if not path.name.endswith("_gdal.zarr")]


def _zarr(folder: Path) -> tuple[list[str], str]:
    faults = []
    for path in _stores(folder):
        cube = open_windows(path)  # checks names, units, the grid and the inventory of chunks
        said = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        transform = [float(number) for number in tuple(grid_of(cube).affine)[:6]]
        if said.get("spatial:transform") != transform:
            faults.append(f"{path.name}: spatial:transform is not that of the grid")
        with xr.open_zarr(path, consolidated=False, chunks=None, decode_coords="all") as plain:
            if "crs_wkt" not in plain["spatial_ref"].attrs:
                faults.append(f"{path.name}: no crs_wkt")
    return faults, f"{len(_stores(folder))} stores"


def _gdal_zarr(folder: Path) -> tuple[list[str], str]:
    import rasterio

    faults, count = [], 0
    for path in _stores(folder):
        old = path.with_name(f"{path.stem}_gdal.zarr")
        cube = open_windows(path)
        grid = grid_of(cube)
        for name, array in cube.data_vars.items():
            if array.ndim > 3 or not {"y", "x"} <= set(array.dims):
                continue
            count += 1
            try:
                with rasterio.open(f'ZARR:"{old}":/{name}') as file:
                    is_there = file.crs == rasterio.crs.CRS.from_user_input(str(grid.crs))
                    is_there = is_there and file.transform.almost_equals(grid.affine, 1e-6)
                    if not is_there or file.count != array.sizes.get("time", 1):
                        faults.append(f"{old.name}: {name} lies elsewhere or has other days")
            except rasterio.RasterioIOError as error:
                faults.append(f"{old.name}: {name}: {error}")
    return faults, f"{count} variables by GDAL {rasterio.__gdal_version__}"


def _cogs(folder: Path) -> tuple[list[str], str]:
    from rio_cogeo.cogeo import cog_validate

    maps = sorted((folder / DAYS).glob("*/*.tif"))
    faults = [] if maps else ["no map"]
    for path in maps:
        is_valid, errors, doubts = cog_validate(path, strict=True, quiet=True)
        if not is_valid or doubts:
            faults.append(f"{path.name}: {', '.join([*errors, *doubts])}")
    return faults, f"{len(maps)} files"


def _same(folder: Path) -> tuple[list[str], str]:
    """Compare netCDF, both Zarr stores and GeoTIFFs day by day, bit by bit."""
    faults, count = [], 0
    for path in _stores(folder):
        old = path.with_name(f"{path.stem}_gdal.zarr")
        with xr.open_zarr(old, consolidated=True, chunks=None) as second:
            for month, cube in by_month(open_windows(path)):
                file = folder / (f"{path.stem}_{month}.nc" if month else f"{path.stem}.nc")
                with xr.open_dataset(file, engine="h5netcdf") as third:
                    others = {old.name: second, file.name: third}
                    for time in cube["time"].values if month else [None]:
                        found = _compared(folder, path.stem, cube, others, time)
                        faults += [f"{one} than {path.name}" for one in found if one]
                        count += len(found)
    return faults, f"{count} maps compared"


def _compared(
    folder: Path, stem: str, cube: xr.Dataset, others: dict[str, xr.Dataset], time: Any
) -> list[str]:
    """Compare the maps of a day; give a fault for each, empty where there is none."""
    told = []
    for name, array in cube.data_vars.items():
        at = {"time": time} if "time" in array.dims else {}
        values = array.sel(at).values
        found = {other: part[name].sel(at).values for other, part in others.items()}
        image = path_of(folder, stem, stamp_of(time), str(name))
        if image.exists():
            found[image.name] = _image(image)
        told += [
            "" if _is_same(values, one) else f"{other}: other values of {name}"
            for other, one in found.items()
        ]
    return told


def _is_same(values: Any, found: Any) -> bool:
    if values.dtype.kind == "f":
        return np.array_equal(values, found.astype("f4"), equal_nan=True)
    return np.array_equal(values, found)


def _image(path: Path) -> Any:
    """Read a map in its own unit, in the precision of cubes."""
    import rasterio

    with rasterio.open(path) as file:
        values = file.read(1)
        if (file.scales[0], file.offsets[0]) == (1.0, 0.0):
            return values
        real = values.astype("f4") * np.float32(file.scales[0]) + np.float32(file.offsets[0])
        return np.where(values == file.nodata, np.float32(np.nan), real)


def _citation(folder: Path) -> tuple[list[str], str]:
    """Hold the keys that are written against what the schema of CITATION.cff 1.2.0 asks of them."""
    content = yaml.safe_load((folder / CITATION).read_text(encoding="utf-8"))
    needed = ("authors", "cff-version", "message", "title")
    faults = [f"no {key}" for key in needed if not content.get(key)]
    references = content.get("references", [])
    faults += [] if _DAY.fullmatch(str(content.get("date-released"))) else ["date-released: no day"]
    for place, one in enumerate([content, *references]):
        where = f"reference {place}: " if place else ""
        if place:
            faults += [
                f"{where}no {key}" for key in ("authors", "title", "type") if not one.get(key)
            ]
        if "doi" in one and not _DOI.fullmatch(str(one["doi"])):
            faults.append(f"{where}{one['doi']} is no DOI")
        if not all({"name", "family-names"} & set(author) for author in one.get("authors", [])):
            faults.append(f"{where}an author without a name")
    if len({yaml.safe_dump(one) for one in references}) < len(references):
        faults.append("a reference stands twice")
    return faults, f"{len(references)} references; by the rules of CFF 1.2.0"

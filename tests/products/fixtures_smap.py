"""SMAP Level 3 and 4 files in their documented layout, made of the real Level 2 granules."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "native"
SMAP = DATA / "smap"
GRANULES = (
    SMAP / "SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5",
    SMAP / "SMAP_L2_SM_P_02802_A_20150811T030828_R18290_001.h5",
)
GROUP = "Soil_Moisture_Retrieval_Data"
FIELDS = (
    "soil_moisture",
    "vegetation_opacity",
    "surface_temperature",
    "retrieval_qual_flag",
    "surface_flag",
)


def gridded(granule: Path, name: str) -> tuple[np.ndarray, dict[str, object]]:
    """Put a field of a granule on 406 x 964, the plain way."""
    with h5py.File(granule) as file:
        held = file[GROUP]
        values, attributes = held[name][:], dict(held[name].attrs)
        row, column = held["EASE_row_index"][:], held["EASE_column_index"][:]
    grid = np.full((406, 964), attributes["_FillValue"], values.dtype)
    grid[row, column] = values
    return grid, attributes


def write_level3(path: Path, *, factor: int = 1, passes: tuple[str, ...] = ("AM", "PM")) -> Path:
    """Write a daily map: the first granule as morning, the second as evening pass.

    `factor` 4 gives the 9 km layout, each cell repeated 4 x 4.
    """
    with h5py.File(path, "w") as file:
        for which, granule in zip(("AM", "PM"), GRANULES, strict=True):
            if which not in passes:
                continue
            group = file.create_group(f"{GROUP}_{which}")
            ending = "" if which == "AM" else "_pm"
            for name in FIELDS:
                values, attributes = gridded(granule, name)
                shape = (406 * factor, 964 * factor)
                array = group.create_dataset(
                    name + ending, shape, values.dtype, chunks=(factor, 964 * factor),
                    fillvalue=attributes["_FillValue"], compression="lzf",
                )  # fmt: skip
                array.attrs.update(attributes)
                rows = np.flatnonzero((values != attributes["_FillValue"]).any(axis=1))
                if rows.size:
                    band = values[rows[0] : rows[-1] + 1].repeat(factor, 0).repeat(factor, 1)
                    array[rows[0] * factor : (rows[-1] + 1) * factor] = band
            # As in the real files: -9999 off the swath, so useless as a grid.
            for name in ("latitude", "longitude"):
                group[name + ending] = np.full((2, 2), -9999.0, "f4")
        extent = file.create_group("Metadata/Extent")
        extent.attrs["rangeBeginningDateTime"] = "2015-08-11T00:00:00.000Z"
    return path


def write_geophysical(path: Path) -> Path:
    """Write a Level 4 map of 3-hour means on a part of EASE-Grid 2.0 at 9 km."""
    with h5py.File(path, "w") as file, h5py.File(SMAP / "SMAP_L4_SM_aup_input.h5") as real:
        for name in ("x", "y", "projection_information"):
            real.copy(real[name], file, name)
        file["time"] = np.array([481118400.0 + 5400])
        file["time"].attrs["units"] = b"seconds since 2000-01-01 11:58:55.816"
        analysis = real["Analysis_Data/sm_surface_analysis"]
        for name, unit, value in (
            ("sm_surface", "m3 m-3", None),
            ("sm_rootzone", "m3 m-3", None),
            ("precipitation_total_surface_flux", "kg m-2 s-1", 1e-5),
            ("snow_mass", "kg m-2", 12.0),
        ):
            values = analysis[:] if value is None else np.full(analysis.shape, value, "f4")
            array = file.create_dataset(f"Geophysical_Data/{name}", data=values)
            array.attrs.update({"units": np.bytes_(unit), "_FillValue": np.float32(-9999)})
    return path

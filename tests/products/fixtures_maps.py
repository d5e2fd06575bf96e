"""Whole granules in the layouts of IMERG, GLDAS and SMAP, whose values tell the cell."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np

from vadose.grids import lonlat, named_grid

LAYERS = ("SoilMoi0_10cm_inst", "AvgSurfT_inst", "Rainf_f_tavg")


def write_imerg(path: Path, day: int, *, step: float = 0.5) -> Path:
    """A global daily map in the layout of the product, with larger cells, whose values tell the cell."""
    rows, columns = round(180 / step), round(360 / step)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 1), ("lon", columns), ("lat", rows), ("nv", 2)):
            file.createDimension(name, size)
        lat = file.createVariable("lat", "f4", ("lat",))
        lat[:] = -90 + step * (np.arange(rows) + 0.5)
        lat.units, lat.bounds = "degrees_north", "lat_bnds"
        file.createVariable("lat_bnds", "f4", ("lat", "nv"))[:] = 0.0
        lon = file.createVariable("lon", "f4", ("lon",))
        lon[:] = -180 + step * (np.arange(columns) + 0.5)
        lon.units = "degrees_east"
        time = file.createVariable("time", "i4", ("time",))
        time.units, time.calendar = "days since 1970-01-01 00:00:00Z", "julian"
        time[:] = 18230 + day
        values = np.arange(columns)[:, None] % 97 + np.arange(rows)[None] % 89 / 89 + day
        for name in ("precipitation", "randomError"):
            made = file.createVariable(
                name, "f4", ("time", "lon", "lat"), fill_value=-9999.9, zlib=True, complevel=1
            )
            made.units = "mm/day"
            made[0] = np.where(values % 7 < 0.1, np.nan, values)
        file.FileHeader = "a header"
    return path


def write_smap(path: Path, *, grid: str = "EASE2_36km", seed: int = 0) -> Path:
    """A daily map on the whole grid; latitude and longitude are fill values off the swath."""
    whole = named_grid(grid)
    shape = tuple(whole.shape)
    rng = np.random.default_rng(seed)
    longitude, latitude = lonlat(whole)
    with h5py.File(path, "w") as file:
        for which, ending in (("AM", ""), ("PM", "_pm")):
            group = file.create_group(f"Soil_Moisture_Retrieval_Data_{which}")
            is_seen = rng.random(shape) < 0.6
            for name, unit, low, high in (
                ("soil_moisture", "cm**3/cm**3", 0.02, 0.5),
                ("vegetation_opacity", "", 0.0, 1.0),
                ("surface_temperature", "Kelvins", 260.0, 320.0),
                ("albedo", "", 0.0, 0.1),
            ):
                values = np.where(is_seen, rng.uniform(low, high, shape), -9999).astype("f4")
                made = group.create_dataset(name + ending, data=values)
                made.attrs["units"] = np.bytes_(unit)
                made.attrs["_FillValue"] = np.float32(-9999)
                made.attrs["valid_min"], made.attrs["valid_max"] = np.float32(low), np.float32(high)
            for name in ("retrieval_qual_flag", "surface_flag"):
                values = np.where(is_seen, rng.integers(0, 2, shape), 65534).astype("u2")
                made = group.create_dataset(name + ending, data=values)
                made.attrs["_FillValue"] = np.uint16(65534)
            for name, values in (("latitude", latitude), ("longitude", longitude)):
                kept = np.where(is_seen, values, -9999).astype("f4")
                group.create_dataset(name + ending, data=kept)
        extent = file.create_group("Metadata/Extent")
        extent.attrs["rangeBeginningDateTime"] = "2019-12-01T00:00:00.000Z"
        file.attrs["Conventions"] = "CF"
    return path


def write_level4(path: Path) -> Path:
    """A three-hourly map on the whole 9 km grid."""
    whole = named_grid("EASE2_9km")
    rows, columns = (int(size) for size in whole.shape)
    with h5py.File(path, "w") as file:
        file["y"] = whole.affine.f + whole.affine.e * (np.arange(rows) + 0.5)
        file["x"] = whole.affine.c + whole.affine.a * (np.arange(columns) + 0.5)
        for axis in ("y", "x"):
            file[axis].make_scale(axis)
        file["time"] = np.array([628430400.0 + 5400])
        file["time"].attrs["units"] = b"seconds since 2000-01-01 11:58:55.816"
        pattern = (np.arange(rows)[:, None] % 40 + np.arange(columns)[None] % 9 / 9) / 100 + 0.02
        for name, unit in (("sm_surface", "m3 m-3"), ("sm_rootzone", "m3 m-3"), ("sm_profile", "m3 m-3"),
                           ("snow_mass", "kg m-2")):  # fmt: skip
            made = file.create_dataset(
                f"Geophysical_Data/{name}", data=pattern.astype("f4"), compression="lzf"
            )
            made.attrs["units"] = np.bytes_(unit)
            made.attrs["_FillValue"] = np.float32(-9999)
            made.dims[0].attach_scale(file["y"])
            made.dims[1].attach_scale(file["x"])
    return path


def write_gldas(path: Path) -> Path:
    """A three-hourly map from 60 S to 90 N."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 1), ("lat", 600), ("lon", 1440), ("bnds", 2)):
            file.createDimension(name, size)
        file.createVariable("lat", "f4", ("lat",))[:] = -59.875 + 0.25 * np.arange(600)
        file.createVariable("lon", "f4", ("lon",))[:] = -179.875 + 0.25 * np.arange(1440)
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.bounds = " minutes since 2000-01-01 03:00:00", "time_bnds"
        time[:] = 10477260
        file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = 0.0
        for name, unit in zip(LAYERS, ("kg m-2", "K", "kg m-2 s-1"), strict=True):
            made = file.createVariable(
                name, "f4", ("time", "lat", "lon"), fill_value=-9999.0, zlib=True, complevel=1
            )
            made.units = unit
            made[0] = 20 + np.arange(600)[:, None] % 53 / 9 + np.arange(1440)[None] % 31 / 7
    return path


#: Name and writer of a granule, by product.
MAPS = {
    "SPL3SMP": ("SMAP_L3_SM_P_20191201_R18290_001.h5", write_smap),
    "SPL3SMP_PM": ("SMAP_L3_SM_P_20191201_R18290_001.h5", write_smap),
    "SPL4SMGP": ("SMAP_L4_SM_gph_20191201T013000_Vv8010_001.h5", write_level4),
    "GLDAS_NOAH": ("GLDAS_NOAH025_3H.A20191201.0000.021.nc4", write_gldas),
    "GLDAS_NOAH_FLUXES": ("GLDAS_NOAH025_3H.A20191201.0000.021.nc4", write_gldas),
}
